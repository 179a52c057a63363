"""`python -m console keys`: keys are made, listed and revoked, and the edge's own reading of the file follows."""

import json
from pathlib import Path

import pytest

from edge_gateway.access.entries import digest
from edge_gateway.access.keys import Keys
from edge_gateway.errors import GatewayError
from tests.console.commands import Ran, console

OWN = f"""# ours
[keys.old]   # the first
sha256 = "{digest("old")}"
models = [ "auto*" ]  # spaced as we like
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def make(file: Path, *arguments: str) -> tuple[Ran, str]:
    """A key that is made, and the key itself."""
    made = console("keys", "make", *arguments, "--file", file)
    assert made.code == 0, made.err
    (key,) = [line for line in made.out.splitlines() if line.startswith("amr-")]
    return made, key


def found(file: Path, key: str):
    return Keys(file, print).find({"authorization": f"Bearer {key}"})


def test_a_key_that_was_made_is_let_in_and_stands_nowhere_but_in_the_output(file):
    made, key = make(file, "alice")
    assert len(key) == 47
    assert found(file, key).name == "alice"
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert f"set EDGE_API_KEYS_FILE={file}" in made.words
    assert "--openai-api-key" in made.words
    assert make(file, "bob")[1] != key


def test_what_is_asked_for_is_what_the_edge_reads(file):
    _, key = make(
        file, "alice", "--tenant", "team-a", "--models", "auto*", "--models", "openai/*", "--requests-per-minute", "60",
        "--tokens-per-minute", "90000", "--parallel", "4", "--budget-usd-per-day", "5", "--budget-usd-per-month", "50.5",
    )  # fmt: skip
    alice = found(file, key)
    assert (alice.tenant, alice.models) == ("team-a", ("auto*", "openai/*"))
    limits = alice.limits
    assert (limits.requests_per_minute, limits.tokens_per_minute, limits.parallel) == (60, 90_000, 4)
    assert (limits.budget_usd_per_day, limits.budget_usd_per_month) == (5.0, 50.5)


def test_a_file_of_ones_own_keeps_its_comments_and_its_rights(file):
    file.write_text(OWN)
    file.chmod(0o640)
    _, key = make(file, "a.dotted-name_1")
    assert found(file, key).tenant == "a.dotted-name_1"
    assert file.read_text().startswith(OWN)
    assert console("keys", "revoke", "old", "--file", file).code == 0
    for kept in ("# ours\n", "[keys.old]   # the first\n", 'models = [ "auto*" ]  # spaced as we like\n'):
        assert kept in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_revoked_key_is_refused_and_its_name_stays_taken(file):
    _, key = make(file, "alice")
    assert "alice is revoked" in console("keys", "revoke", "alice", "--file", file).words
    with pytest.raises(GatewayError):
        found(file, key)
    assert "already" in console("keys", "revoke", "alice", "--file", file).words
    again = console("keys", "make", "alice", "--file", file)
    assert again.code == 1
    assert "has a key named alice already (revoked" in again.words


def test_a_name_that_is_there_is_refused_and_the_key_stays_valid(file):
    _, key = make(file, "alice")
    before = file.read_text()
    again = console("keys", "make", "alice", "--file", file)
    assert again.code == 1
    assert f"{file} has a key named alice already" in again.err
    assert again.out == ""
    assert file.read_text() == before
    assert found(file, key).name == "alice"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a b"], "is no name"),
        (["amr-alice"], "is no name"),
        (["alice", "--parallel", "0"], "keys.alice.parallel"),
        (["alice", "--requests-per-minute", "-1"], "keys.alice.requests_per_minute"),
        (["alice", "--budget-usd-per-day", "nan"], "keys.alice.budget_usd_per_day"),
        (["alice", "--budget-usd-per-month", "0"], "keys.alice.budget_usd_per_month"),
        (["alice", "--tenant", "a b"], "keys.alice.tenant"),
        (["alice", "--models", ""], "keys.alice.models"),
    ],
)
def test_what_the_edge_would_not_read_is_not_written(file, arguments, says):
    refused = console("keys", "make", *arguments, "--file", file)
    assert refused.code == 1
    assert says in refused.err
    assert refused.out == ""
    assert not file.exists()


def test_the_list_tells_everything_but_the_digests(file):
    file.write_text(OWN)
    make(file, "alice", "--tenant", "team-a", "--parallel", "4", "--budget-usd-per-day", "0.5")
    console("keys", "revoke", "old", "--file", file)
    listed = console("keys", "list", "--file", file)
    rows = [line.split() for line in listed.out.splitlines()]
    assert ["old", "old", "auto*", "-", "-", "-", "-", "-", "-", "revoked"] in rows
    (alice,) = [row for row in rows if row[:1] == ["alice"]]
    assert alice[1:8] == ["team-a", "*", "-", "-", "4", "0.5", "-"]
    assert alice[-1] == "valid"
    as_json = console("keys", "list", "--file", file, "--json")
    old, new = json.loads(as_json.out)["keys"]
    assert (old["name"], old["revoked"], new["revoked"]) == ("old", True, False)
    assert (new["tenant"], new["parallel"], new["budget_usd_per_month"]) == ("team-a", 4, None)
    assert digest("old") not in listed.out + as_json.out
    assert "sha256" not in listed.out + as_json.out


def test_the_file_is_the_one_that_the_edges_setting_names(file):
    made = console("keys", "make", "alice", EDGE_API_KEYS_FILE=str(file))
    assert made.code == 0
    assert "a running edge takes it up" in made.words
    assert "alice" in console("keys", "list", EDGE_API_KEYS_FILE=str(file)).out


@pytest.mark.parametrize("command", [["list"], ["revoke", "alice"]])
def test_a_file_that_is_not_there_is_named_with_what_to_do(file, command):
    refused = console("keys", *command, "--file", file)
    assert refused.code == 1
    assert str(file) in refused.err
    assert "make NAME" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("keys = 5\n= 3\n", "not TOML (line 2"),
        ("keys = 5\n", "keys: Input should be"),
        (OWN + "budget = 5\n", "keys.old.budget is no field of a key"),
    ],
)
def test_a_file_that_the_edge_would_not_read_is_named_and_left_as_it_is(file, text, says):
    file.write_text(text)
    for command in (["make", "alice"], ["list"], ["revoke", "old"]):
        refused = console("keys", *command, "--file", file)
        assert refused.code == 1
        assert says in refused.err
        assert str(file) in refused.err
        assert refused.out == ""
    assert file.read_text() == text


def test_a_file_that_holds_its_keys_on_one_line_is_left_as_it_is(file):
    text = f"keys = {{ old = {{ sha256 = '{digest('old')}' }} }}\n"
    file.write_text(text)
    refused = console("keys", "make", "alice", "--file", file)
    assert refused.code == 1
    assert "give each key a table [keys.NAME]" in refused.err
    assert refused.out == ""
    assert file.read_text() == text


@pytest.mark.parametrize(
    "entry", ["keys.old.sha256 = '{}'", "[keys]\nold.sha256 = '{}'", "[keys.'old']\nsha256 = '{}'"]
)
def test_an_entry_may_be_written_in_any_way_that_toml_knows(file, entry):
    file.write_text(entry.format(digest("old")) + "\n")
    _, key = make(file, "alice")
    assert console("keys", "revoke", "alice", "--file", file).code == 0
    assert found(file, "old").name == "old"
    with pytest.raises(GatewayError):
        found(file, key)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    refused = console("keys", "make", "alice", "--file", tmp_path / "nowhere" / "keys.toml")
    assert refused.code == 1
    assert "cannot be written" in refused.err
    assert refused.out == ""


def test_an_unknown_name_cannot_be_revoked(file):
    make(file, "alice")
    refused = console("keys", "revoke", "bob", "--file", file)
    assert refused.code == 1
    assert "no key named bob" in refused.err
