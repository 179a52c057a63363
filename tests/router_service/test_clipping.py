"""Clipping keeps what decides and nothing of the files, within its bounds, on anything that comes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_service.clipping import (
    CODE,
    GAP,
    LONGEST_SYSTEM,
    LONGEST_TURN,
    LONGEST_TURNS,
    MOST_TURNS,
    REMINDERS,
    WRITTEN_BY_AIDER,
    clip,
)
from router_service.domain import Message
from tests.processes import SHARED

CORPUS = SHARED / "aider_corpus"
FILES = Message("user", "I have *added these files to the chat* so you can go ahead.\n\nkey.py\n```\nSECRET = 1\n```\n")
FILES_OK = Message("assistant", "Ok, any changes I propose will be to those files.")
SYSTEM = Message("system", "Act as an expert. " * 100)

pieces = st.sampled_from(
    [*WRITTEN_BY_AIDER, *REMINDERS, "\n\n", "\n", "```", "<<<<<<< SEARCH", ">>>>>>> REPLACE", "Ok"]
)
texts = st.lists(pieces | st.text() | st.text("ab \n`", min_size=500), max_size=8).map("".join)
conversations = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), texts), max_size=12
)


def user(text: str) -> Message:
    return Message("user", text)


def joined(messages: tuple[Message, ...]) -> str:
    return "\n".join(message.text for message in messages)


@given(conversations)
def test_the_bounds_hold_and_a_user_who_said_something_is_heard(conversation):
    clipped = clip(conversation, "clipped")
    system = [message for message in clipped if message.role == "system"]
    turns = [message for message in clipped if message.role != "system"]
    assert len(system) <= 1
    assert all(len(message.text) <= LONGEST_SYSTEM for message in system)
    assert len(turns) <= MOST_TURNS
    assert {turn.role for turn in turns} <= {"user", "assistant"}
    assert all(0 < len(turn.text) <= LONGEST_TURN for turn in turns)
    assert sum(len(turn.text) for turn in turns) <= LONGEST_TURNS
    assert any(turn.role == "user" for turn in turns) == any(
        message.role == "user" and message.text.strip() for message in conversation
    )


@given(conversations)
def test_full_is_everything_and_features_only_is_nothing(conversation):
    assert clip(conversation, "full") == tuple(conversation)
    assert clip(conversation, "features_only") == ()


def test_clipping_what_is_clipped_changes_nothing():
    conversation = [SYSTEM, FILES, FILES_OK, user("one"), Message("assistant", "two"), user("three " * 1000)]
    once = clip(conversation, "clipped")
    assert clip(once, "clipped") == once


@pytest.mark.parametrize("beginning", WRITTEN_BY_AIDER)
def test_aiders_own_turns_and_their_acknowledgements_are_left_out(beginning):
    aiders = user(f"{beginning} and so on.\n\nkey.py\n```\nSECRET = 1\n```\n")
    clipped = clip([aiders, Message("assistant", "Ok, as you say."), user("fix the bug")], "clipped")
    assert clipped == (user("fix the bug"),)


@pytest.mark.parametrize("reminder", REMINDERS)
def test_the_format_reminder_is_cut_from_the_end(reminder):
    assert clip([user(f"fix the bug\n\n{reminder} and so on")], "clipped") == (user("fix the bug"),)


def test_the_examples_are_left_out():
    examples = [
        user("Change get_factorial()"),
        Message("assistant", "Sure."),
        user("I switched to a new code base. So."),
    ]
    assert clip([*examples, Message("assistant", "Ok."), user("hello")], "clipped") == (user("hello"),)


def test_an_answer_that_says_ok_to_a_person_stays():
    conversation = [user("is it good?"), Message("assistant", "Ok, it is."), user("thanks")]
    assert clip(conversation, "clipped") == tuple(conversation)


def test_a_long_turn_keeps_both_ends():
    (turn,) = clip([user("first " + "x" * 9000 + " last")], "clipped")
    assert turn.text.startswith("first ")
    assert turn.text.endswith(" last")
    assert GAP in turn.text


def test_the_last_turns_have_the_room():
    turns = [user(str(number) * 1999) for number in range(6)]
    assert clip([SYSTEM, *turns], "clipped") == (Message("system", SYSTEM.text[:LONGEST_SYSTEM]), *turns[3:])


def test_a_chat_of_nothing_but_files_gives_aiders_sentence_and_no_file():
    (turn,) = clip([FILES, FILES_OK], "clipped")
    assert turn.text == "I have *added these files to the chat* so you can go ahead."


def test_the_code_of_replies_and_of_failed_blocks_is_left_out():
    reply = Message("assistant", "Here.\n\nkey.py\n````python\nSECRET = 1\n```\nSECRET = 2\n````\nDone.")
    failed = user("# 1 block failed to match!\n<<<<<<< SEARCH\nSECRET\n=======\nSECRET\n>>>>>>> REPLACE\nTry again.")
    clipped = clip([reply, failed], "clipped")
    assert joined(clipped) == f"Here.\n\nkey.py\n{CODE}\nDone.\n# 1 block failed to match!\n{CODE}\nTry again."


@pytest.mark.parametrize("text", ["\n\n# ", "```\n", "<<<<<<< SEARCH\n", "\n", " ", "`"])
def test_the_time_grows_with_the_text_and_no_faster(text):
    conversation = [user(text * (4_000_000 // len(text))), Message("assistant", text * (4_000_000 // len(text)))]
    # Its own time on a processor: whatever else the machine does takes none of it.
    started = time.process_time()
    clip([*conversation, user("hello")], "clipped")
    assert time.process_time() - started < 10


def records() -> Iterator[Path]:
    return iter(sorted(CORPUS.glob("*.json")))


def recorded(path: Path) -> list[Message]:
    body = json.loads(path.read_text(encoding="utf-8"))["body"]
    body = json.loads(body) if isinstance(body, str) else body
    return [Message(turn["role"], _text(turn["content"])) for turn in (body or {}).get("messages", [])]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def files_of(conversation: list[Message]) -> list[str]:
    """The contents of the files in the chat, as Aider listed them."""
    turns = [m.text for m in conversation if m.role == "user" and m.text.startswith(WRITTEN_BY_AIDER[2:6])]
    return [part for turn in turns for part in turn.split("```")[1::2] if len(part.strip().splitlines()) > 1]


def test_no_file_of_a_recorded_chat_reaches_the_clipped_text():
    if not CORPUS.is_dir():
        pytest.skip(f"no recorded requests at {CORPUS}")
    seen = 0
    for path in records():
        conversation = recorded(path)
        clipped = clip(conversation, "clipped")
        assert not any(turn.text.startswith(WRITTEN_BY_AIDER) for turn in clipped), path.name
        text = joined(clipped)
        for file in files_of(conversation):
            seen += 1
            assert file.strip() not in text, path.name
            head = file.strip().splitlines()[:2]
            assert "\n".join(head) not in text, path.name
    assert seen > 100


def test_the_last_words_of_every_recorded_user_are_kept():
    if not CORPUS.is_dir():
        pytest.skip(f"no recorded requests at {CORPUS}")
    for path in records():
        conversation = recorded(path)
        last = next((m.text for m in reversed(conversation) if m.role == "user"), "")
        if last.strip():
            clipped = [m.text for m in clip(conversation, "clipped") if m.role == "user"]
            assert clipped, path.name
            assert clipped[-1].splitlines()[0] in last, path.name
            assert not any(reminder in clipped[-1] for reminder in REMINDERS), path.name
