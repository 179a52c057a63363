"""Understanding a request made to be slow takes no more steps than understanding any other."""

import re
import sys

import pytest

from edge_gateway import aider, chat_request
from edge_gateway.aider import commands, files, messages, prompts
from tests.edge_gateway.aider_messages import CODE, DIFF, ran, request

HEAD = "I have *added these files to the chat* so\n\na\n```\n"
MOST_STEPS = 40_000
HOSTILE = {
    "fences": lambda size: [("user", HEAD + "```\n\nx\n" * (size // 7)), ("assistant", "Ok, any"), ("user", "hi")],
    "files": lambda size: [("user", HEAD + "```\n\nx\n```\n" * (size // 11)), ("assistant", "Ok, any"), ("user", "hi")],
    "blank lines": lambda size: [("user", "\n" * size)],
    "malformed": lambda size: [("user", "\n^^^ Expected `" * (size // 15))],
    "commands": lambda size: [("user", "\n\nI ran this command:\n" * (size // 22))],
    "output": lambda size: [("user", "I ran this command:\n\nx\n\nAnd got this output:\n\n" + "1 ok " * (size // 5))],
    "reminders": lambda size: [("user", "x\n\n" + CODE * (size // len(CODE)))],
    "summaries": lambda size: [("user", "summaries of files " * (size // 19)), ("assistant", "Ok."), ("user", "hi")],
    "diffs": lambda size: [("user", "\n# Diffs:\n" * (size // 10))],
}


def steps(raw: bytes) -> int:
    """How many calls understanding makes, those into C included."""
    parsed, count = chat_request.parse(raw), 0

    def called(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        aider.understand(parsed)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("prompt", [DIFF, CODE * 3_000, "Act as an expert " * 10_000, "\n" * 100_000])
def test_a_megabyte_takes_no_more_steps_than_a_quarter_of_it(name, prompt):
    few, many = (steps(request(("system", prompt), *HOSTILE[name](size))) for size in (250_000, 1_000_000))
    assert few <= MOST_STEPS
    assert many <= few + 100


@pytest.mark.parametrize(
    "said",
    [
        ("# Fix any errors below", "y"),
        (ran("1 error", "x"), "y"),
        (ran("errors", "x"), "Ok."),
        (HEAD, "Ok, any"),
        ("x", "y"),
    ],
)
def test_a_conversation_is_looked_back_over_only_so_far_however_long_it_is(said):
    def turns(count):
        return [("system", DIFF), *([("user", said[0]), ("assistant", said[1])] * count), ("user", "hi")]

    few, many = steps(request(*turns(2_000))), steps(request(*turns(8_000)))
    assert few <= MOST_STEPS
    assert many <= few + 100


def test_no_pattern_repeats_without_an_end():
    patterns = [
        value
        for module in (commands, files, messages, prompts)
        for value in vars(module).values()
        if isinstance(value, re.Pattern)
    ]
    patterns += [mark for _, mark in prompts._PURPOSES]
    assert len(patterns) > 10
    for pattern in patterns:
        plain = re.sub(r"\\.|\[[^]]*\]", "x", pattern.pattern)
        assert not re.search(r"[*+]|,\}", plain), pattern.pattern
