"""Who holds a key is let in; a changed file counts from the next look, unless it is broken."""

import os
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from edge_gateway.access.entries import InvalidKeys, digest, parse
from edge_gateway.access.keys import Keys
from edge_gateway.errors import GatewayError

KEY, OTHER = "amr-" + "a" * 43, "amr-" + "b" * 43
ENTRY = f'sha256 = "{digest(KEY)}"\n'
ALICE = f"[keys.alice]\n{ENTRY}"
BOB = f'[keys.bob]\nsha256 = "{digest(OTHER).upper()}"\n'


class House:
    """A keys file and who reads it, on a clock that stands still."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.told, self.now, self.wall = path, [], 0.0, 1e9
        self.write(text)
        tell = lambda event, fields: self.told.append((event, fields))  # noqa: E731
        self.keys = Keys(path, tell, clock=lambda: self.now, wall_clock=lambda: self.wall)

    def write(self, text: str, age: float = 60.0) -> None:
        """As editors do it: beside, then in place; `age` seconds ago."""
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        os.utime(beside, (self.wall - age, self.wall - age))
        os.replace(beside, self.path)

    def find(self, **headers: str) -> str:
        return self.keys.find({name.replace("_", "-"): value for name, value in headers.items()}).name

    def refusal(self, **headers: str) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            self.find(**headers)
        return caught.value


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "keys.toml", ALICE + BOB)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"authorization": f"BEARER {KEY}", "x_api_key": OTHER},
        {"x_api_key": KEY},
        {"X_Api_Key": KEY, "api_key": OTHER},
        {"api_key": KEY},
    ],
)
def test_a_key_is_found_in_the_header_that_its_client_sends(house, headers):
    assert house.find(**headers) == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY[:-1]}"},
        {"authorization": f"Bearer {KEY}a"},
        {"authorization": f"Bearer {digest(KEY)}"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"authorization": "Bearer "},
        {"authorization": ""},
        {"authorization": f"Bearer {KEY}, Bearer {KEY}"},
        {"authorization": f"Bearer {KEY} {KEY}"},
        {"authorization": "Bearer kéy"},
        {"authorization": "Bearer \ud800"},
        {"authorization": "Bearer " + "a" * 100_000},
        {"authorization": f"Bearer {OTHER[::-1]}", "x_api_key": KEY},
        {"x_api_key": f"{KEY},{KEY}"},
        {"Authorization": f"Bearer {KEY}", "authorization": f"Bearer {KEY}"},
    ],
)
def test_whatever_is_wrong_with_a_key_the_answer_is_the_same_and_repeats_nothing(house, headers):
    error = house.refusal(**headers)
    assert (error.status, error.kind, error.code) == (401, "authentication_error", "invalid_api_key")
    assert error.message == house.refusal(authorization="Bearer unknown").message
    assert "Authorization: Bearer KEY" in error.message


def test_a_header_sent_twice_is_refused(house):
    twice = Headers(raw=[(b"authorization", f"Bearer {KEY}".encode())] * 2)
    with pytest.raises(GatewayError, match="not valid"):
        house.keys.find(twice)
    assert house.keys.find(Headers(raw=[(b"Authorization", f"Bearer {KEY}".encode())])).name == "alice"


def test_a_request_without_a_key_is_told_how_one_is_made_and_sent(house):
    error = house.refusal(accept="*/*")
    assert error.status == 401
    assert "make keys" in error.message
    assert "Authorization: Bearer KEY" in error.message
    assert "://" not in error.message


def test_a_revoked_key_is_refused_as_an_unknown_one(house):
    house.write(f"{ALICE}revoked = true\n{BOB}")
    assert house.find(x_api_key=KEY) == "alice", "the file is looked at once a second"
    house.now += 1.0
    assert house.refusal(x_api_key=KEY).message == house.refusal(x_api_key="unknown").message
    assert house.find(x_api_key=OTHER) == "bob"
    assert house.told == [("keys_loaded", {"keys": 1})]


def test_a_file_that_is_just_being_written_is_left_until_the_next_look(house):
    house.write("", age=0.1)
    house.now += 1.0
    assert house.find(x_api_key=KEY) == "alice"
    house.now += 1.0
    house.wall += 1.0
    house.refusal(x_api_key=KEY)


@pytest.mark.parametrize("broken", ["[keys.alice", f"[keys.alice]\nsecret = '{OTHER}'", None])
def test_a_broken_edit_keeps_the_keys_before_and_is_told_once_without_its_contents(house, broken):
    if broken is None:
        house.path.unlink()
    else:
        house.write(broken)
    for _ in range(3):
        house.now += 1.0
        assert house.find(x_api_key=KEY) == "alice"
    ((event, fields),) = house.told
    assert event == "keys_refused"
    assert str(house.path) in fields["problem"]
    assert OTHER not in str(fields)
    house.write(BOB)
    house.now += 1.0
    house.refusal(x_api_key=KEY)
    assert house.find(x_api_key=OTHER) == "bob"


def test_an_entry_says_whose_the_key_is_what_it_may_ask_for_and_how_much(house):
    house.write(
        f'[keys.alice]\n{ENTRY}tenant = "team-a"\nmodels = ["auto*", "openai/*"]\nrequests_per_minute = 60\n'
        'tokens_per_minute = 90000\nparallel = 4\nbudget_usd_per_day = 5\nbudget_usd_per_month = 50.5\ncreated = "2026-11-25"\n'
    )
    house.now += 1.0
    key = house.keys.find({"x-api-key": KEY})
    assert key.tenant == "team-a"
    assert [key.permits(model) for model in ("auto", "auto-weak", "openai/gpt-5.2", "xai/openai/x", "AUTO", "")] == [
        *[True] * 3,
        *[False] * 3,
    ]
    limits = key.limits
    assert (limits.requests_per_minute, limits.tokens_per_minute, limits.parallel) == (60, 90_000, 4)
    assert (limits.budget_usd_per_day, limits.budget_usd_per_month) == (5.0, 50.5)


def test_an_entry_of_a_digest_alone_is_a_tenant_of_its_own_with_no_limits(house):
    key = house.keys.find({"x-api-key": KEY})
    assert key.tenant == "alice"
    assert key.permits("anything/at/all")
    assert key.limits.unlimited


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[keys.alice\n", "(line 1, column 12)"),
        (f"[keys.{KEY}]\n{ENTRY}", "a key's name is"),
        (f'[keys."a b"]\n{ENTRY}', "a key's name is"),
        (f"{ALICE}[keys.bob]\n{ENTRY}", "keys.bob.sha256 is the same as that of keys.alice"),
        ("[keys.alice]\n", "keys.alice.sha256 is missing"),
        (f'[keys.alice]\nsha256 = "{KEY}"\n', "keys.alice.sha256 is not 64 hexadecimal digits"),
        (f"{ALICE}budget = 5\n", "keys.alice.budget is no field of a key; there are sha256, tenant"),
        (f"{ALICE}requests_per_minute = 0\n", "keys.alice.requests_per_minute"),
        (f"{ALICE}tokens_per_minute = 1.5\n", "keys.alice.tokens_per_minute"),
        (f"{ALICE}parallel = true\n", "keys.alice.parallel"),
        (f'{ALICE}budget_usd_per_day = "5"\n', "keys.alice.budget_usd_per_day"),
        (f"{ALICE}budget_usd_per_month = inf\n", "keys.alice.budget_usd_per_month"),
        (f"{ALICE}models = []\n", "keys.alice.models"),
        (f"{ALICE}revoked = 1\n", "keys.alice.revoked"),
        (f'{ALICE}created = "soon"\n', "keys.alice.created"),
        (f'{ALICE}tenant = "a b"\n', "keys.alice.tenant"),
        (f"{ALICE}[tokens]\n", "tables [keys.NAME] and nothing else"),
        ("keys = 5\n", "keys"),
        ("a = " + "[" * 20_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_field_and_no_value(text, says):
    with pytest.raises(InvalidKeys) as caught:
        parse(text, "the-file")
    assert str(caught.value).startswith("the-file")
    assert says in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_at_the_start_is_named(tmp_path, content):
    path = tmp_path / "keys.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidKeys, match=str(path)):
        Keys(path, print)
