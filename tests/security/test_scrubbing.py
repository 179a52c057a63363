"""What a provider says of its key is not repeated to clients, however the key looks and however it is quoted."""

import json

import pytest

from edge_gateway import errors

# No pattern would know the first for a key.
HELD = ("M6GiyiBfg2XZcMZC8adYlNFGe6qqbvGH", "sk-proj-Qw3rTyUiOpAsDfGh")


def told(message: object, code: object = None) -> str:
    raw = json.dumps({"error": {"message": message, "code": code}}).encode()
    return errors.from_upstream(401, raw, "fake/first", None, HELD).body().decode()


@pytest.mark.parametrize("key", HELD)
@pytest.mark.parametrize(
    "around",
    [
        "key {}",
        "'{}'",
        '"{}"',
        "Bearer {}.",
        "key={},",
        "({})",
        "{{'key': '{}'}}",
        "<b>{}</b>",
        "https://p.invalid/?key={}",
    ],
)
def test_a_key_that_was_sent_is_not_repeated_in_any_quotes(key, around):
    said = told(f"Incorrect key: {around.format(key)} Ask for another.")
    assert key[:8] not in said
    assert "Incorrect key: " in said
    assert "removed)" in said


@pytest.mark.parametrize("masked", ["{}****", "****{}", "{}...", "…{}"])
def test_what_a_mask_has_left_of_it_is_not_repeated_either(masked):
    assert HELD[0][6:18] not in told(f"key {masked.format(HELD[0][6:18])} is wrong")


@pytest.mark.parametrize(
    "key", ["sk-ant-api03-abcdefgh", "AIzaSyA1234567890abcdef", "gsk_abcdefgh1234", "xai-abcdefgh", "pk-lf-12345678"]
)
def test_a_key_of_another_that_looks_like_one_is_not_repeated(key):
    assert key not in told(f"the key {key} is wrong")


def test_a_code_that_is_the_key_is_not_passed_on():
    assert HELD[0][:8] not in told("no", HELD[0])
    assert '"code": "model_gone"' in told("no", "model_gone")


def test_all_else_is_said_in_the_providers_words():
    words = "The model gpt-4o-mini-2024-07-18 has no previous response resp_68a1b2c3d4e5f60718293a4b5c6d7e8f for you."
    assert words in told(words)


@pytest.mark.parametrize(
    "address",
    [
        "https://a.invalid/x",
        "see_https://a.invalid",
        "x" * 30 + "http://a.invalid",
        "ftp;://a.invalid",
        "_www.a.invalid",
    ],
)
def test_no_address_is_repeated_whatever_stands_before_it(address):
    """Aider opens what it finds in a message."""
    said = told(f"look at {address} now")
    assert "://" not in said
    assert "a.invalid" not in said
    assert said.index("look at ") < said.index("now")
