"""Real Aider through edge, router and the real Portkey gateway: edits land as commits, and a cut answer harms no file."""

import json

import pytest
from aiohttp import web

from tests.conftest import System
from tests.end_to_end.aider_runs import Repository
from tests.fakes import provider as fake

CALC = "def add(a, b):\n    return a + b\n\n\ndef twice(a):\n    return add(a, a)\n"
RENAMED = CALC.replace("add(", "plus(")


def start(repository: Repository, **files: str) -> None:
    for name, text in files.items():
        repository.write(name.replace("_py", ".py"), text)
    repository.git("add", ".")
    repository.git("commit", "-qm", "start", "--allow-empty")


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
@pytest.mark.parametrize("edit_format", ["diff", "whole"])
def test_an_edit_lands_as_a_commit_whose_message_the_weak_profile_wrote(repository, demo, edit_format, stream):
    start(repository, calc_py=CALC)
    said = repository.aider(demo.url, "rename add to plus", "--edit-format", edit_format, stream, "calc.py")
    assert repository.read("calc.py") == RENAMED, said
    subjects = repository.subjects()
    assert len(subjects) == 2, said
    assert subjects[1] == "start"
    edit, commit = demo.completions()
    assert (edit["requested"], edit["purpose"], edit["outcome"]) == ("auto", "code", "completed")
    assert (commit["requested"], commit["purpose"], commit["outcome"]) == ("auto-weak", "commit", "completed")
    assert (edit["served"], commit["served"]) == ("demo/large", "demo/small")
    assert (edit["first_byte_ms"] is not None) == (stream == "--stream")


def test_an_architects_plan_is_carried_out_by_the_editor(repository, demo):
    start(repository, calc_py=CALC)
    architect = ("--architect", "--model", "openai/auto-architect", "--auto-accept-architect")
    said = repository.aider(demo.url, "replace `a + b` with `b + a`", *architect, "calc.py")
    assert repository.read("calc.py") == CALC.replace("a + b", "b + a"), said
    assert len(repository.subjects()) == 2, said
    calls = [(entry["requested"], entry["purpose"]) for entry in demo.completions()]
    assert calls == [("auto-architect", "architect"), ("auto-editor", "editor"), ("auto-weak", "commit")]


def test_an_edit_that_the_linter_objects_to_is_mended_by_the_next_round(repository, demo):
    start(repository, calc_py=CALC)
    # This demo model renames the first place alone, so that Aider's linter finds the second undefined.
    said = repository.aider(demo.url, "rename add to plus", "--model", "openai/demo/small", "calc.py")
    assert repository.read("calc.py") == RENAMED, said
    outcomes = [entry["outcome"] for entry in demo.completions()]
    assert "# Fix any errors below" in said
    assert set(outcomes) == {"completed"}


def test_a_failing_test_is_mended_in_a_second_round(repository, demo):
    check = "from calc import plus\nassert plus(2, 2) == 4, 'replace `a - b` with `a + b`'\n"
    start(repository, calc_py=CALC.replace("a + b", "a - b"), check_py=check)
    said = repository.aider(
        demo.url, "rename add to plus", "--auto-test", "--test-cmd", "python3 -B check.py", "calc.py"
    )
    assert repository.read("calc.py") == RENAMED, said
    assert len(repository.subjects()) == 3, said
    purposes = [entry["purpose"] for entry in demo.completions()]
    assert purposes == ["code", "commit", "code", "commit"]


def test_a_new_file_is_created_and_committed(repository, demo):
    start(repository, calc_py=CALC)
    said = repository.aider(demo.url, 'create notes.md saying "hello"')
    assert "hello" in repository.read("notes.md"), said
    assert len(repository.subjects()) == 2, said


def test_a_model_that_is_not_known_is_told_to_the_user_at_once(repository, demo):
    start(repository, calc_py=CALC)
    said = repository.aider(demo.url, "rename add to plus", "--model", "openai/nope", "calc.py")
    assert "There is no model 'nope' here" in said
    assert "auto-weak" in said
    assert repository.read("calc.py") == CALC
    assert len(repository.subjects()) == 1


LINES = [f"line {number}" for number in range(10)]
WHOLE = "names.txt\n```\n" + "\n".join(LINES).replace("line 3", "LINE 3") + "\n```\n"


def event(**delta: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"


def whole_file(times_cut: int, abort: bool) -> fake.Behaviour:
    """An answer in the whole format that is cut after two lines of the file, so many times; then whole."""
    left = [times_cut]

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if not body.get("stream"):
            return await fake.answer(request, body)
        if left[0]:
            left[0] -= 1
            return await fake.stream(request, (event(content="names.txt\n```\nline 0\nline 1\n"),), abort=abort)
        return await fake.stream(request, (event(content=WHOLE), *fake.EVENTS[2:]))

    return behave


@pytest.mark.parametrize("abort", [True, False])
def test_an_answer_cut_in_the_middle_of_a_file_is_told_to_aider_and_the_file_comes_out_right(
    repository: Repository, system: System, abort: bool
):
    start(repository)
    repository.write("names.txt", "\n".join(LINES) + "\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "names")
    system.provider.script["first"] = whole_file(1, abort)
    said = repository.aider(system.url + "/v1", "shout line 3", "--edit-format", "whole", "names.txt")
    assert "broke off before it was complete" in said
    assert repository.read("names.txt") == "\n".join(LINES).replace("line 3", "LINE 3") + "\n", said


def test_a_provider_that_fails_is_not_noticed_by_the_user(repository: Repository, system: System):
    start(repository)
    repository.write("names.txt", "\n".join(LINES) + "\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "names")
    system.provider.script["first"] = fake.refuse(503)
    system.provider.script["second"] = whole_file(0, abort=False)
    said = repository.aider(system.url + "/v1", "shout line 3", "--edit-format", "whole", "names.txt")
    assert "LINE 3" in repository.read("names.txt"), said
    assert "503" not in said
