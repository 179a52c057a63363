"""A name that stands twice at the top of a request is found whatever stands beside it, and none is found that is not there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway import chat_request
from edge_gateway.errors import GatewayError

MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
NAMES = st.sampled_from(["a", "b", "é", "😀", 'q"', "\\", "\x00", "n,{", ""]) | st.text(max_size=4)
VALUES = st.sampled_from(["1", "12", '"},{"', "[1,2]", '{"a":1,"a":2}', "null", '"é"', '"\\""'])
BLANKS = st.sampled_from(["", " ", "  ", "\n"])


def refusal(raw: str) -> str:
    """The code of the error that the body is refused with, empty where it is let pass."""
    try:
        chat_request.parse(raw.encode("utf-8", "surrogatepass"))
    except GatewayError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "members",
    [
        # The characters saved by writing a name as it is make up for those of the member too many.
        f'"model":"a","ééé":1,"model":"bb",{MESSAGES}',
        # The member too many is as long as the blanks that Python's json would put in.
        f'"model":"xy","model":"z",{MESSAGES},"b":1,"c":1,"d":1,"e":1,"f":1',
        f'"model": "x", {MESSAGES}, "model": "x"',
    ],
)
def test_no_member_hides_another_of_its_name(members):
    assert refusal("{" + members + "}") == "duplicate_field"


@given(
    st.lists(st.tuples(NAMES, st.booleans(), VALUES), max_size=8),
    st.tuples(BLANKS, BLANKS, BLANKS),
)
def test_a_body_is_refused_for_it_if_and_only_if_a_name_stands_twice(members, blanks):
    before, behind, between = blanks
    written = [f"{json.dumps(name, ensure_ascii=escaped)}{before}:{behind}{value}" for name, escaped, value in members]
    raw = "{" + f",{between}".join(['"model":"m"', MESSAGES, *written]) + "}"
    names: list[str] = []

    def note(pairs):
        names[:] = [name for name, _ in pairs]  # the outermost object is told last

    json.loads(raw, object_pairs_hook=note)
    assert (refusal(raw) == "duplicate_field") == (len(set(names)) < len(names))
