"""Real Aider sessions in many settings, without a name for any of them: each is one conversation, and no two are mixed."""

import threading
import uuid

import pytest

from tests.end_to_end.aider_runs import Repository
from tests.end_to_end.header_tap import HeaderTap

CALC = "def add(a, b):\n    return a + b\n\n\ndef twice(a):\n    return add(a, a)\n"
# Edits, questions, commands and an undo, as a user mixes them.
MIXED = [
    "rename add to plus",
    "/ask what does calc.py do?",
    "replace `a + b` with `b + a`",
    "/run echo nothing to see",
    "/undo",
    "rename twice to double",
    "/add notes.md",
    "replace `a + b` with `b + a`",
    "what changed?",
]


@pytest.fixture
def tap(demo):
    tap = HeaderTap(demo.url.removesuffix("/v1"))
    yield tap
    tap.close()


def start(repository: Repository) -> None:
    repository.write("calc.py", CALC)
    repository.write("notes.md", "# Notes\n\nNothing yet.\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "start", "--allow-empty")


def conversations(tap: HeaderTap) -> set[str]:
    return {answer["x-router-conversation-id"] for answer in tap.answers}


@pytest.mark.parametrize(
    "settings",
    [
        ("--edit-format", "diff"),
        ("--edit-format", "diff-fenced"),
        ("--edit-format", "whole"),
        ("--edit-format", "udiff"),
        ("--no-stream",),
        ("--chat-language", "German"),
        ("--map-tokens", "0"),
        ("--no-auto-commits",),
        ("--commit-prompt", "Say in one line what these diffs do."),
        ("--read", "notes.md"),
        ("--cache-prompts",),
        ("--model", "openai/demo/medium"),
        ("--max-chat-history-tokens", "60"),
    ],
    ids=" ".join,
)
def test_a_session_is_one_conversation_whatever_is_done_in_it(repository, tap, settings):
    start(repository)
    said = repository.aider_session(f"{tap.url}/v1", MIXED, *settings, "calc.py")
    assert len(tap.answers) >= len([line for line in MIXED if line[0] != "/"]), said
    assert len(conversations(tap)) == 1, [(a["x-router-purpose"], a["x-router-conversation-id"]) for a in tap.answers]


def test_an_architects_session_is_one_conversation_with_its_editor_and_commits(repository, tap):
    start(repository)
    lines = ["replace `a + b` with `b + a`", "rename twice to double"]
    settings = ("--architect", "--auto-accept-architect", "--model", "openai/auto-architect")
    said = repository.aider_session(f"{tap.url}/v1", lines, *settings, "calc.py")
    purposes = [answer["x-router-purpose"] for answer in tap.answers]
    assert purposes == ["architect", "editor", "commit"] * 2, said
    assert len(conversations(tap)) == 1


def test_sessions_at_the_same_time_under_one_key_are_never_mixed(tmp_path, repository, demo):
    taps, repositories, threads, key = [], [], [], uuid.uuid4().hex
    for number in range(3):
        folder = tmp_path / f"project{number}"
        folder.mkdir()
        one = Repository(folder, repository.home)
        one.git("init", "-q")
        start(one)
        one.key = key
        # The same code in each, and other wishes.
        lines = [
            f"rename add to plus{number}",
            f"replace `a + b` with `b + a + {number}`",
            f"rename twice to n{number}",
        ]
        tap = HeaderTap(demo.url.removesuffix("/v1"))
        taps.append(tap)
        repositories.append(one)
        threads.append(threading.Thread(target=one.aider_session, args=(f"{tap.url}/v1", lines, "calc.py")))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [conversations(tap) for tap in taps]
    for tap in taps:
        tap.close()
    assert all(f"n{number}" in one.read("calc.py") for number, one in enumerate(repositories))
    assert [len(ids) for ids in found] == [1, 1, 1]
    assert len(set.union(*found)) == len(found)
