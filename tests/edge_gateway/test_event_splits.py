"""However the bytes of a stream are cut, the same are relayed and the same is seen in them, whatever they are."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_gateway.event_stream import StreamObserver
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, Form
from tests.fakes import anthropic, openai_forms, openai_responses, provider

FORMS = (CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES)
# What each form's provider sends, and what none should: in any form's stream all of it may come.
TOLD = (*provider.EVENTS, *openai_forms.COMPLETION_EVENTS, *anthropic.EVENTS, *openai_responses.EVENTS)
ODD = (
    b"data: [DONE]\n\n",
    b"data:[DONE]\r\n\r\n",
    b'data: {"error":{"message":"overloaded","code":7}}\n\n',
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"no"}}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"caf\xc3"},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"index":9,"delta":{"content":7},"finish_reason":{}}],"usage":{"prompt_tokens":-1}}\n\n',
    b'data: {"choices":[{"finish_reason":"stop"},{"finish_reason":"stop"}],"usage":[]}\n\n',
    b"data: " + b"[" * 3000 + b"\n\n",
    b'data: {"type":"response.completed","response":{"output":[],"usage":{"input_tokens":1e999}}}\n\n',
    b"data: " + b"9" * 5000 + b"\n\n",
    b": a comment\n\n",
    b"\xef\xbb\xbfdata: {}\n\n",
    b"data\n\n",
    b"data: \x00\n\n",
    b"\r",
    b"\n",
    b"\r\n",
    b"data: ",
)
STREAMS = st.lists(st.one_of(st.sampled_from(TOLD), st.sampled_from(ODD), st.binary(max_size=12)), max_size=10).map(
    b"".join
)


def relayed_and_seen(form: Form, pieces: list[bytes], answers: int) -> tuple[object, ...]:
    """What is relayed of a stream in these pieces, and what is seen in it."""
    observer = StreamObserver(form.read_event, answers)
    relayed = b""
    for piece in pieces:
        relayed += observer.feed(piece)
        if observer.cut_short:
            # The relay reads no further then.
            break
    relayed += observer.rest()
    seen = observer.finished, observer.over, observer.cut_short, observer.error, observer.usage, observer.said
    return relayed, *seen, observer.events


@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@given(whole=STREAMS, cuts=st.lists(st.integers(0, 100_000), max_size=12), answers=st.integers(1, 3))
# What comes after a stream was cut short, in the same piece or in another, changes nothing.
@example(whole=b"data: [DONE]\n\n" + provider.EVENTS[2], cuts=[len(b"data: [DONE]\n\n")], answers=1)
def test_a_stream_is_relayed_and_seen_the_same_however_it_is_cut(form, whole, cuts, answers):
    edges = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    at_once = relayed_and_seen(form, [whole], answers)
    assert relayed_and_seen(form, pieces, answers) == at_once
    assert whole.startswith(at_once[0])


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@given(whole=STREAMS)
def test_a_stream_that_comes_byte_by_byte_is_seen_as_one_that_comes_at_once(form, whole):
    bytewise = [whole[place : place + 1] for place in range(len(whole))]
    assert relayed_and_seen(form, bytewise, 1) == relayed_and_seen(form, [whole], 1)
