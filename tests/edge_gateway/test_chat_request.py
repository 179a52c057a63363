"""A request's bytes: what routing needs of them is read, and what is none of our business is let pass."""

import msgspec
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
    ],
)
def test_what_only_the_provider_can_judge_is_let_pass(form, raw):
    assert form.parse(raw).model == "m"


@pytest.mark.parametrize("form", [forms.CHAT, forms.MESSAGES, forms.RESPONSES], ids=lambda form: form.name)
@pytest.mark.parametrize(
    "more",
    [
        b'"model":"n"',
        b'"\\u006dodel":"n"',
        b' "messages" : [ ]',
        b'"tools":5,"tools":[{}]',
        b'"unheard_of":{"a":[1,2]},"other":"},{","unheard_of":0',
    ],
)
def test_a_name_that_stands_twice_is_refused_however_it_is_written(form, more):
    raw = b'{"model":"m","input":"hi",' + MESSAGES + b',"stream":true,' + more + b"}"
    with pytest.raises(errors.GatewayError) as refusal:
        form.parse(raw)
    assert (refusal.value.status, refusal.value.code) == (400, "duplicate_field")


def test_a_name_may_stand_again_deeper_down():
    raw = b'{"model" :"m",' + MESSAGES + b', "metadata": {"model": "n", "messages": [{}, {"a": 1, "a": 2}]}}'
    assert chat_request.parse(raw).model == "m"


@pytest.mark.parametrize("name", sorted(chat_request.STEERING))
def test_no_field_of_the_body_may_name_another_server_or_key(name):
    with pytest.raises(errors.GatewayError) as refusal:
        chat_request.parse(b'{"model": "m", "' + name.encode() + b'": "x", ' + MESSAGES + b"}")
    assert (refusal.value.code, refusal.value.param) == ("field_not_allowed", name)


@pytest.mark.parametrize(
    "value",
    [b"[" + b"{}," * 3_000_000 + b"{}]", b"[" * 100_000, b'["' + b'","' * 300_000 + b'"]'],
    ids=["wide", "deep", "strings"],
)
def test_more_json_than_anybody_needs_is_refused(value):
    with pytest.raises(errors.GatewayError) as refusal:
        chat_request.parse(b'{"model": "m", "x": ' + value + b", " + MESSAGES + b"}")
    assert (refusal.value.status, refusal.value.code) == (400, "json_too_complex")


def test_a_large_prompt_full_of_brackets_and_commas_is_no_such_json():
    prompt = '[{}, "a", \\"],' * 100_000
    raw = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": prompt}]})
    assert chat_request.parse(raw).turns[0].text == prompt


def test_tools_count_for_the_input_as_they_were_sent():
    plain = chat_request.parse(b'{"model": "m", ' + MESSAGES + b"}")
    tooled = chat_request.parse(b'{"model": "m", "tools": [{"type":   "function"}], ' + MESSAGES + b"}")
    assert tooled.tools
    assert tooled.input_tokens == plain.input_tokens + int(
        len('{"type":   "function"}') / chat_request.CHARACTERS_PER_TOKEN
    )
