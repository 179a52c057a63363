"""A request's bytes: what routing needs of them is read, and what is none of our business is let pass."""

import pytest

from edge_gateway import chat_request, errors, forms

MESSAGES = b'"messages": [{"role": "user", "content": "hi"}]'


@pytest.mark.parametrize("value", [b"1e400", b'"\xff"', b"12345678901234567890123456789", b'{"a": [1, 2.5, null]}'])
def test_a_field_nobody_here_reads_is_named_whatever_it_holds(value):
    request = chat_request.parse(b'{"model": "m", ' + MESSAGES + b', "unheard_of": ' + value + b"}")
    assert request.fields == {"model", "messages", "unheard_of"}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"model": 1, ' + MESSAGES + b"}", "model"),
        (b'{"model": "m", "messages": [{"role": "user", "content": 1}]}', "messages[0].content"),
        (b'{"model": "m", "messages": [{"content": "hi"}]}', "messages[0].role"),
        (b'{"model": "m", "max_tokens": "many", ' + MESSAGES + b"}", "max_tokens"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\xff"}]}', None),
        (b"[]", None),
    ],
)
def test_a_wrong_field_is_named(raw, field):
    with pytest.raises(errors.GatewayError) as refusal:
        chat_request.parse(raw)
    assert (refusal.value.status, refusal.value.param) == (400, field)


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        (forms.MESSAGES, b'{"model": "m", "messages": [{"role": "user", "content": [{"type": ["text"]}]}]}'),
        (forms.RESPONSES, b'{"model": "m", "input": [{"role": "user", "content": [{"type": {}}]}]}'),
        (forms.CHAT, b'{"model": "m", "tools": 5, "tools": [{}], ' + MESSAGES + b"}"),
        (forms.MESSAGES, b'{"model": "m", "tools": 5, "tools": [{}], ' + MESSAGES + b"}"),
        (forms.RESPONSES, b'{"model": "m", "tools": 5, "tools": [{}], "input": "hi"}'),
    ],
)
def test_what_only_the_provider_can_judge_is_let_pass(form, raw):
    assert form.parse(raw).model == "m"


def test_tools_count_for_the_input_as_they_were_sent():
    plain = chat_request.parse(b'{"model": "m", ' + MESSAGES + b"}")
    tooled = chat_request.parse(b'{"model": "m", "tools": [{"type":   "function"}], ' + MESSAGES + b"}")
    assert tooled.tools
    assert tooled.input_tokens == plain.input_tokens + int(
        len('{"type":   "function"}') / chat_request.CHARACTERS_PER_TOKEN
    )
