"""JSON is refused for its number of values as a slow reader would count them, and no bytes make reading fail otherwise."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway import json_guard
from edge_gateway.errors import GatewayError
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

FORMS = (CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES)
# Texts that look like structure, and end in what looks like the end of a text.
TEXTS = st.text(st.sampled_from('{}[]",:\\\n\u00e9\U0001f600 a'), max_size=12)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4), st.dictionaries(TEXTS, inner, min_size=1, max_size=4)
    ),
    max_leaves=8,
)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 1]),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :\t")]),
    }
)
BODY = b'{"model":"auto","messages":[{"role":"user","content":"h\\u00efi"}],"input":["a",[1]],"tools":[{}],"n":1e3}'


def _edited(edits: list[tuple[int, int, bytes]]) -> bytes:
    body = BODY
    for place, left_out, put_in in edits:
        body = body[:place] + put_in + body[place + left_out :]
    return body


BROKEN = st.one_of(
    st.binary(max_size=60),
    # A body with some of its bytes replaced, left out or put in.
    st.lists(st.tuples(st.integers(0, len(BODY)), st.integers(0, 3), st.binary(max_size=3)), max_size=4).map(_edited),
    st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b"1", b'"a"', b" "]), max_size=40).map(b"".join),
    st.tuples(st.sampled_from([b"[", b'{"a":', b"[[{\"a\":"]), st.integers(900, 3000)).map(lambda deep: deep[0] * deep[1]),
)  # fmt: skip


def values_of(document: object) -> int:
    """How many values a document holds, itself and all within it."""
    if isinstance(document, dict):
        return 1 + sum(map(values_of, document.values()))
    if isinstance(document, list):
        return 1 + sum(map(values_of, document))
    return 1


def refusal(raw: bytes) -> str:
    """The code of the error that a text is refused with, empty where it is let pass."""
    try:
        json_guard.check(raw)
    except GatewayError as error:
        return error.code
    return ""


@settings(max_examples=25, deadline=None)
@given(document=DOCUMENTS, style=STYLES, beside=st.integers(-2, 2))
def test_as_many_values_as_may_be_are_let_pass_and_not_one_more(document, style, beside):
    one = json.dumps(document, **style).encode("utf-8", "surrogatepass")
    count = values_of(json.loads(one))
    # An array of as many copies as come close to the limit, and ones for the rest.
    copies, rest = divmod(json_guard.MOST_VALUES - 1 + beside, count)
    raw = b"[" + b",".join([one] * copies + [b"1"] * rest) + b"]"
    assert refusal(raw) == ("json_too_complex" if beside > 0 else "")


@pytest.mark.parametrize("beside", [0, 1])
@pytest.mark.parametrize("shift", range(-4, 5))
@pytest.mark.parametrize("escape", [rb"\\\\", rb"\"", rb"\\\"", rb"\\\\\\\""])
def test_no_escape_hides_values_or_makes_some_wherever_it_stands_in_a_long_text(escape, shift, beside):
    commas = b"," * json_guard.MOST_VALUES
    # Its escape stands around the end of a mebibyte, where a reader may take breath.
    text = b'"' + commas + b"a" * ((1 << 20) - len(commas) - 2 + shift) + escape + commas + b'"'
    ones = [b"1"] * (json_guard.MOST_VALUES - 2 + beside)
    assert refusal(b"[" + b",".join([text, *ones]) + b"]") == ("json_too_complex" if beside else "")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@settings(max_examples=150, deadline=None)
@given(raw=BROKEN)
def test_no_bytes_make_a_form_fail_but_with_a_refusal(form, raw):
    for body in (raw, BODY[:-1] + b',"zz":' + raw + b"}"):
        with contextlib.suppress(GatewayError):
            form.parse(body)
