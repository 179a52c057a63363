"""The observer relays every byte of a whole stream, in whatever pieces it comes, and nothing of a broken event."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.event_stream import MAX_EVENT_BYTES, EventTooLarge, Said, StreamObserver, Usage
from edge_gateway.forms.chat import read_event, read_plain

EVENTS = st.lists(
    st.one_of(
        st.just(b": comment"),
        st.builds(
            lambda text: (
                b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False).encode()
            ),
            st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
        ),
        st.just(b"event: x\ndata: not json"),
        st.just(b'data: {"choices": 7}'),
    ),
    max_size=8,
)
FINISH = b'data: {"choices":[{"finish_reason":"stop"}]}'


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


@given(
    EVENTS,
    st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.booleans(),
)
def test_a_whole_stream_is_relayed_byte_for_byte_in_any_pieces(events, boundary, cuts, ends_in_boundary):
    whole = boundary.join([*events, FINISH, b"data: [DONE]"]) + (boundary if ends_in_boundary else b"")
    observer = StreamObserver(read_event)
    relayed = b"".join(observer.feed(piece) for piece in pieces(whole, cuts)) + observer.rest()
    assert relayed == whole
    assert observer.finished


@given(EVENTS, st.lists(st.integers(0, 10_000), max_size=12), st.integers(1, 40))
def test_a_cut_stream_is_incomplete_and_no_half_event_is_relayed(events, cuts, kept):
    whole = b"".join(event + b"\n\n" for event in events)
    cut = whole + FINISH[: min(kept, len(FINISH) - 10)]
    observer = StreamObserver(read_event)
    relayed = b"".join(observer.feed(piece) for piece in pieces(cut, cuts)) + observer.rest()
    assert relayed == whole
    assert not observer.complete


@pytest.mark.parametrize(
    ("event", "complete"),
    [
        (b'data: {"choices":[{"finish_reason":"length"}]}\n\n', True),
        (b'data:{"choices":[{"finish_reason":"stop"}]}\n\n', True),
        (b'data: {"error":{"message":"overloaded"}}\n\n', True),
        (b'data: {"error":null,"choices":[{"finish_reason":null}]}\n\n', False),
        (b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n', False),
        (b"data: [DONE]\n\n", False),
        (b": [DONE]\n\n", False),
    ],
)
def test_a_stream_is_complete_when_the_model_or_the_provider_said_so(event, complete):
    observer = StreamObserver(read_event)
    observer.feed(event)
    assert observer.complete is complete


def test_usage_is_read_from_the_stream_and_from_a_plain_answer():
    usage = (
        b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}'
    )
    observer = StreamObserver(read_event)
    observer.feed(b"data: " + usage + b"\n\n")
    plain = read_plain(usage)
    assert plain is not None
    assert observer.usage == plain[0] == Usage(9, 2, 4)
    assert read_plain(b'{"error":"x"}') is None
    assert read_plain(b"<html>") is None


def test_an_event_without_end_is_given_up():
    observer = StreamObserver(read_event)
    observer.feed(b"x" * MAX_EVENT_BYTES)
    with pytest.raises(EventTooLarge):
        observer.feed(b"x")


@pytest.mark.parametrize(
    "message",
    [
        b'{"content":"caf\xc3"}',
        b'{"content":"hi","extra":1e999}',
        b'{"content":"hi","extra":' + b"1" * 5000 + b"}",
        b'{"content":7}',
        b'"hi"',
    ],
)
def test_a_text_that_cannot_be_read_hides_neither_the_end_nor_the_usage(message):
    rest = b'"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}'
    observer = StreamObserver(read_event)
    event = b'data: {"choices":[{"index":0,"delta":' + message + b"," + rest + b"\n\n"
    assert observer.feed(event) == event
    assert (observer.finished, observer.usage, observer.said.anything) == (True, Usage(9, 2), True)
    found = read_plain(b'{"choices":[{"index":0,"message":' + message + b"," + rest)
    assert found is not None
    assert found[0] == Usage(9, 2)


def test_what_is_nested_without_end_is_no_completion_and_stops_no_stream():
    nested = b'{"choices":[{"index":0,"delta":{"content":' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}"
    assert read_plain(nested) is None
    observer = StreamObserver(read_event)
    assert observer.feed(b"data: " + nested + b"\n\n") + observer.feed(FINISH + b"\n\n")
    assert observer.complete


@given(EVENTS, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([b"", b"\n\n", b"\n\ndata: more\n\n"]))
def test_done_without_an_ended_answer_is_held_back_for_clients_would_take_what_came_for_whole(events, cuts, after):
    came = b"".join(event + b"\n\n" for event in events)
    observer = StreamObserver(read_event)
    relayed = b"".join(observer.feed(piece) for piece in pieces(came + b"data: [DONE]" + after, cuts)) + observer.rest()
    assert relayed == came
    assert not observer.complete


def test_done_after_the_providers_own_error_is_relayed():
    whole = b'data: {"error":{"message":"overloaded"}}\n\ndata: [DONE]\n\n'
    assert StreamObserver(read_event).feed(whole) == whole


def test_done_ends_a_stream_of_fewer_answers_than_were_asked_for():
    observer = StreamObserver(read_event, answers=3)
    whole = FINISH + b"\n\ndata: [DONE]\n\n"
    assert observer.feed(whole) == whole
    assert (observer.finished, observer.over) == (True, True)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "assistant", "content": "hi"}, Said("hi", True)),
        ({"role": "assistant", "content": ""}, Said("", False)),
        ({"role": "assistant", "content": None, "refusal": None, "tool_calls": []}, Said("", False)),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, Said("", True)),
        ({"function_call": {"name": "f"}}, Said("", True)),
        ({"refusal": "No."}, Said("", True)),
        ({"audio": {"id": "1"}}, Said("", True)),
        ({"content": "", "reasoning_content": "Let me see."}, Said("", True)),
        ({"content": [{"type": "text", "text": "hi"}]}, Said("", True)),
        ({}, Said("", False)),
    ],
)
def test_a_reply_without_text_may_still_say_something(message, said):
    answer = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    said = said._replace(reasons=("stop",))
    assert read_plain(answer) == (Usage(), said)
    observer = StreamObserver(read_event)
    observer.feed(b"data: " + answer.replace(b'"message"', b'"delta"') + b"\n\n")
    assert observer.said == said


def test_of_several_answers_the_first_ones_text_is_read():
    answer = b'{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}'
    assert read_plain(answer) == (Usage(), Said("a", True))


def test_a_provider_that_says_with_each_piece_why_it_ended_takes_no_more_memory_for_it():
    observer = StreamObserver(read_event)
    event = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
    for _ in range(1000):
        observer.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert observer.finished
    assert 0 < len(observer.said.reasons) <= 32
    assert observer.said.text == "x" * 1000
