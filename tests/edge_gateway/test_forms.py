"""Each form of API: what routing needs of its requests, and what its answers say, in the wording of its providers."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway import errors
from edge_gateway.event_stream import Said, StreamObserver, Usage
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES
from tests.fakes import anthropic, openai_forms, openai_responses
from tests.fakes import provider as fake

STREAMS = {
    "chat": (CHAT, fake.EVENTS, Said("grüß dich", True, ("stop",)), Usage(11, 7)),
    "responses": (RESPONSES, openai_responses.EVENTS, Said("hello there", True), None),
    "messages": (MESSAGES, anthropic.EVENTS, Said("hello", True, ("end_turn",)), Usage(9, 3)),
    "completions": (COMPLETIONS, openai_forms.COMPLETION_EVENTS, Said("hello there", True, ("stop",)), None),
}
PLAINS = {
    "chat": (CHAT, fake.PLAIN, Said("hi", True, ("stop",)), Usage(11, 7)),
    "responses": (RESPONSES, openai_responses.PLAIN, Said("hello there", True), None),
    "messages": (MESSAGES, anthropic.PLAIN, Said("hello", True, ("end_turn",)), Usage(9, 3)),
    "completions": (COMPLETIONS, openai_forms.COMPLETION, Said("hello there", True, ("stop",)), Usage(5, 3)),
    "embeddings": (EMBEDDINGS, openai_forms.EMBEDDING, Said("", True), None),
}


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_a_stream_is_relayed_byte_for_byte_and_read_to_its_end_in_any_pieces(name, cuts):
    form, events, said, usage = STREAMS[name]
    whole = b"".join(events)
    observer = StreamObserver(form.read_event)
    assert b"".join(observer.feed(piece) for piece in pieces(whole, cuts)) + observer.rest() == whole
    assert (observer.finished, observer.failed, observer.said) == (True, False, said)
    assert observer.usage.output_tokens > 0 if name != "completions" else True
    if usage is not None:
        assert observer.usage == usage


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_not_complete_before_its_last_words(name):
    form, events, _, _ = STREAMS[name]
    observer = StreamObserver(form.read_event)
    finished = []
    for event in events:
        observer.feed(event)
        finished.append(observer.finished)
    assert not finished[0]
    assert finished[-1]
    assert finished == sorted(finished)


@pytest.mark.parametrize(
    ("form", "said"), [(CHAT, b'"delta":{"content":"x"}'), (COMPLETIONS, b'"text":"x"')], ids=["chat", "completions"]
)
def test_a_stream_of_several_answers_is_not_complete_before_the_last_of_them_has_ended(form, said):
    observer = StreamObserver(form.read_event, answers=2)
    ends = [b'data: {"choices":[{"index":%d,%s,"finish_reason":"stop"}]}\n\n' % (index, said) for index in (0, 1)]
    observer.feed(ends[0])
    assert not observer.finished
    observer.feed(ends[1])
    assert (observer.finished, observer.over) == (True, False)
    observer.feed(b"data: [DONE]\n\n")
    assert observer.over


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": ["a", "b"], "n": 3}, 6),
        ({"prompt": "a", "n": 2, "best_of": 5}, 5),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": [], "n": "x"}, 1),
    ],
)
def test_a_completion_counts_all_the_texts_that_are_written_for_it(fields, answers):
    assert COMPLETIONS.parse(json.dumps({"model": "m", **fields}).encode()).answers == answers


@pytest.mark.parametrize("name", PLAINS)
def test_a_plain_answer_is_read(name):
    form, body, said, usage = PLAINS[name]
    found = form.read_plain(body)
    assert found is not None
    assert found[1] == said
    assert found[0].input_tokens > 0
    if usage is not None:
        assert found[0] == usage


@pytest.mark.parametrize("form", [CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES])
@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"7", b"{}", b'{"type":"error","error":{"type":"api_error","message":"x"}}', b"[" * 10_000]
)
def test_what_is_no_answer_is_not_taken_for_one(form, body):
    assert form.read_plain(body) is None


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (CHAT, b'{"choices":[],"error":{"message":"overloaded"}}'),
        (CHAT, b'{"choices":[{"index":0,"message":{"role":"assistant","content":""}}],"error":{"message":"x"}}'),
        (COMPLETIONS, b'{"choices":[],"error":{"message":"overloaded"}}'),
        (RESPONSES, b'{"output":[],"error":{"message":"overloaded"}}'),
    ],
)
def test_an_error_with_room_for_an_answer_is_not_taken_for_one(form, body):
    assert form.read_plain(body) is None


def test_an_item_that_only_its_provider_knows_hides_neither_a_responses_end_nor_its_words():
    items = (
        b'[{"type":"odd","content":"as it likes"},{"type":"message","content":[{"type":"output_text","text":"hi"}]}]'
    )
    found = RESPONSES.read_plain(b'{"output":' + items + b"}")
    assert found is not None
    assert found[1] == Said("hi", True)
    observer = StreamObserver(RESPONSES.read_event)
    observer.feed(b'data: {"type":"response.completed","response":{"output":' + items + b"}}\n\n")
    assert observer.finished


@pytest.mark.parametrize(
    ("form", "event"),
    [
        (CHAT, b'{"error":{"message":"x"}}'),
        (
            RESPONSES,
            b'{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}',
        ),
        (RESPONSES, b'{"type":"error","code":"x","message":"x","param":null}'),
        (RESPONSES, b'{"error":{"message":"x"}}'),
        (MESSAGES, b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}'),
        (COMPLETIONS, b'{"error":{"message":"x"}}'),
    ],
)
def test_what_the_provider_says_went_wrong_is_an_error_and_no_end(form, event):
    observer = StreamObserver(form.read_event)
    observer.feed(b"data: " + event + b"\n\n")
    assert (observer.failed, observer.finished) == (True, False)
    assert b"x" in observer.error


def test_a_tools_call_is_something_said_in_every_form():
    call = {"type": "content_block_start", "index": 0, "content_block": anthropic.tool_use("look", {})}
    assert MESSAGES.read_event(json.dumps(call).encode()).said == Said("", True)
    delta = {"type": "response.function_call_arguments.delta", "delta": "{"}
    assert RESPONSES.read_event(json.dumps(delta).encode()).said == Said("", True)
    plain = RESPONSES.read_plain(
        json.dumps(openai_responses.response(openai_responses.function_call("f", {}))).encode()
    )
    assert plain is not None
    assert plain[1] == Said("", True)


def test_anthropics_cached_tokens_are_counted_into_the_input():
    usage = {"input_tokens": 3, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 5}
    body = json.dumps(anthropic.message(anthropic.text("hi"), usage=usage)).encode()
    found = MESSAGES.read_plain(body)
    assert found is not None
    assert found[0] == Usage(123, 5, 100)


def test_a_request_of_the_responses_form_is_read():
    body = {
        "model": "auto",
        "instructions": "be brief",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "x"}],
            },
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"},
            {"type": "function_call_output", "call_id": "1", "output": "42"},
            {"type": "reasoning", "encrypted_content": "abc", "summary": []},
        ],
        "max_output_tokens": 50,
        "tools": [{"type": "function", "name": "f"}],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}},
        "stream": True,
        "temperature": 0,
    }
    request = RESPONSES.parse(json.dumps(body).encode())
    assert [(turn.role, turn.text) for turn in request.turns][:4] == [
        ("system", "be brief"),
        ("user", "hi"),
        ("assistant", "{}"),
        ("tool", "42"),
    ]
    assert (request.images, request.tools, request.json, request.stream) == (1, True, True, True)
    assert (request.output_tokens, request.repeatable, request.bound, request.stored) == (50, True, True, False)
    assert RESPONSES.parse(b'{"model":"auto","input":"hi"}').turns[0].text == "hi"
    assert RESPONSES.parse(b'{"model":"a/b","previous_response_id":"resp_1"}').stored


def test_a_request_of_anthropics_form_is_read():
    body = {
        "model": "claude",
        "max_tokens": 64,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [anthropic.thinking("hm"), anthropic.tool_use("f", {})]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "42"}]}],
            },
        ],
        "tools": [{"name": "f", "input_schema": {}}],
    }
    request = MESSAGES.parse(json.dumps(body).encode())
    assert [(turn.role, turn.text) for turn in request.turns] == [
        ("system", "be brief"),
        ("user", "hi"),
        ("assistant", ""),
        ("user", "42"),
    ]
    assert (request.output_tokens, request.tools, request.bound) == (64, True, True)


def test_tokens_by_number_are_counted():
    assert EMBEDDINGS.parse(b'{"model":"a/b","input":[[1,2,3],[4]]}').input_tokens == 4
    assert COMPLETIONS.parse(b'{"model":"a/b","prompt":[1,2,3]}').input_tokens == 3
    assert EMBEDDINGS.parse(b'{"model":"a/b","input":["hello","there"]}').turns == ()


@pytest.mark.parametrize(
    ("form", "raw", "field"),
    [
        (RESPONSES, b'{"model":"a","input":7}', "input"),
        (RESPONSES, b'{"model":"a","input":[]}', "input"),
        (RESPONSES, b'{"input":"hi"}', "model"),
        (MESSAGES, b'{"model":"a","messages":[]}', "messages"),
        (MESSAGES, b'{"model":"a","messages":[{"role":"user"}]}', "messages[0].content"),
        (EMBEDDINGS, b'{"model":"a"}', "input"),
        (COMPLETIONS, b'{"model":"a","prompt":{}}', "prompt"),
        (COMPLETIONS, b"{", None),
    ],
)
def test_a_wrong_field_is_named_in_every_form(form, raw, field):
    with pytest.raises(errors.GatewayError) as refusal:
        form.parse(raw)
    assert (refusal.value.status, refusal.value.param) == (400, field)


def test_errors_are_told_in_each_forms_own_words():
    told = errors.unknown_model("x", ["auto"])
    assert json.loads(CHAT.error_body(told))["error"]["code"] == "model_not_found"
    anthropics = json.loads(MESSAGES.error_body(told))
    assert (anthropics["type"], anthropics["error"]["type"]) == ("error", "not_found_error")
    event = RESPONSES.error_event(told).split(b"data: ")[1]
    assert json.loads(event)["type"] == "error"
    assert json.loads(event)["error"]["message"] == told.message
