"""`python -m console train`: a real router's ledger, the real SDK, and a fake Not Diamond on a real socket."""

import csv
import io
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.commands import Ran, console
from tests.fakes.not_diamond import FakeNotDiamond, document, recommend, reply
from tests.processes import free_port, start_router
from tests.router_service.calls import select
from tests.router_service.test_savings import CONFIG, report

QUIET = """
[profiles.quiet]
candidates = ["x/*"]
cost_quality_tradeoff = 5
privacy = "features_only"

[profiles.quiet.learning]
mode = "off"
"""
TURNS = 30


def ask(port: int, text: str, outcome: str, served: str, **fields: object) -> str:
    """A request of that text, and how the reply of that model fared; the decision's id."""
    messages = [{"role": "system", "text": "Act as an expert."}, {"role": "user", "text": text}]
    wanted = {"profile": "three", "purpose": "PURPOSE_CODE", "messages": messages, **fields}
    decision = select(port, **wanted)
    report(port, decision, outcome, served_model=served)
    return decision.decision_id


def after(decision_id: str) -> dict[str, object]:
    return {"previousReply": {"outcome": "OUTCOME_EDIT_FAILED", "decisionId": decision_id, "consecutiveFailures": 1}}


def fill(port: int, turns: int) -> None:
    for number in range(turns):
        if number % 3:
            ask(port, f'Request {number}, "quoted",\nand a line', "applied", "x/cheap")
            continue
        failed = ask(port, f"Request {number}", "edit_failed", "x/cheap")
        failed = ask(port, "# 1 SEARCH/REPLACE block failed", "edit_failed", "x/cheap", **after(failed))
        ask(port, "# 1 SEARCH/REPLACE block failed again", "applied", "x/strong", **after(failed))
    ask(port, "sentinel of the quiet profile", "applied", "x/cheap", profile="quiet")
    ask(port, "an answer that says nothing", "no_edits", "x/middle")
    ask(port, "mends what nobody knows", "applied", "x/middle", **after("dec_unknown"))


def ledger_of(folder: Path, turns: int, contents: str = "clipped") -> dict[str, str]:
    """A ledger that a real router has written; the environment that finds it."""
    config = folder / "router.toml"
    config.write_text(CONFIG + QUIET)
    env = {
        "ROUTER_LEDGER_URL": f"sqlite:///{folder / 'ledger.sqlite'}",
        "ROUTER_CONFIG": str(config),
        "ROUTER_LEDGER_CONTENTS": contents,
    }
    port = free_port()
    process = start_router(port, **env)
    fill(port, turns)
    process.stop()
    return env


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return ledger_of(tmp_path_factory.mktemp("ledger"), TURNS)


@pytest.fixture
def not_diamond() -> Iterator[FakeNotDiamond]:
    fake = FakeNotDiamond()
    fake.answer = recommend("x", "cheap")
    yield fake
    fake.close()


def train(ledger: dict[str, str], fake: FakeNotDiamond, *arguments: str | Path, answers: str = "") -> Ran:
    keys = {"NOT_DIAMOND_API_KEY": "sentinel-key", "NOTDIAMOND_BASE_URL": fake.url}
    ran = console("train", *arguments, answers=answers, **ledger, **keys)
    assert "sentinel-key" not in ran.out + ran.err
    assert "Traceback" not in ran.err
    return ran


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_an_export_holds_a_row_a_turn_and_each_models_first_reply_and_sends_nothing(ledger, not_diamond, tmp_path):
    out = tmp_path / "turns.csv"
    ran = train(ledger, not_diamond, "--out", out)
    assert ran.code == 0, ran.err
    rows = rows_of(out.read_text(encoding="utf-8"))
    assert list(rows[0]) == [
        "prompt",
        "x/cheap/score",
        "x/cheap/response",
        "x/strong/score",
        "x/strong/response",
    ]
    assert len(rows) == TURNS
    assert [rows[0][f"x/{name}/score"] for name in ("cheap", "strong")] == ["0.0", "1.0"]
    assert [rows[1][f"x/{name}/score"] for name in ("cheap", "strong")] == ["1.0", ""]
    assert rows[1]["prompt"] == 'Request 1, "quoted",\nand a line'
    assert all(row["x/cheap/response"] == row["x/strong/response"] == "" for row in rows)
    assert "x/cheap: 30 scores, 20 applied" in ran.out
    assert out.stat().st_mode & 0o777 == 0o600
    assert not_diamond.uploads == []
    assert "nothing was sent" in ran.out


def test_what_a_profile_does_not_let_out_is_not_exported_and_said(ledger, not_diamond, tmp_path):
    ran = train(ledger, not_diamond, "--out", tmp_path / "turns.csv")
    assert "sentinel of the quiet profile" not in (tmp_path / "turns.csv").read_text()
    assert "1 replies are left out" in ran.words


def test_nothing_is_sent_without_a_yes(ledger, not_diamond):
    for answers in ("n\n", "", "\n"):
        ran = train(ledger, not_diamond, answers=answers)
        assert "Send these 30 prompts and scores to Not Diamond" in ran.words
    assert not_diamond.uploads == []


def test_a_yes_sends_the_turns_waits_and_tells_the_preference_id(ledger, not_diamond):
    ran = train(ledger, not_diamond, answers="y\n")
    assert ran.code == 0, ran.err
    (upload,) = not_diamond.uploads
    assert (upload["prompt_column"], upload["maximize"], upload["language"]) == ("prompt", "true", "english")
    assert json.loads(upload["llm_providers"]) == [
        {"provider": "x", "model": "cheap"},
        {"provider": "x", "model": "strong"},
    ]
    assert len(rows_of(upload["dataset_file"])) == TURNS
    assert "preference_id: pref-1" in ran.out
    # It asks with the preference_id, and with no prompt of the user's.
    (asked,) = [body for _, _, body in not_diamond.seen]
    assert asked["preference_id"] == "pref-1"
    assert "Request" not in json.dumps(asked["messages"])
    assert "[profiles.auto]" in ran.out


def test_the_preference_id_is_written_into_the_named_profile_and_the_router_takes_it(ledger, not_diamond, tmp_path):
    config = tmp_path / "own.toml"
    config.write_text(CONFIG + "# a comment of ours\n")
    config.chmod(0o640)
    ran = train(ledger, not_diamond, "--yes", "--config", config, "--profile", "three")
    assert ran.code == 0, ran.err
    text = config.read_text()
    assert tomllib.loads(text)["profiles"]["three"]["preference_id"] == "pref-1"
    assert "# a comment of ours" in text
    assert config.stat().st_mode & 0o777 == 0o640
    port = free_port()
    process = start_router(
        port, ROUTER_CONFIG=str(config), NOT_DIAMOND_API_KEY="k", NOTDIAMOND_BASE_URL=not_diamond.url
    )
    try:
        not_diamond.seen.clear()
        select(port, profile="three", messages=[{"role": "user", "text": "hello"}])
        assert [body["preference_id"] for _, _, body in not_diamond.seen] == ["pref-1"]
    finally:
        process.stop()


def test_without_a_second_yes_the_file_stays_as_it_is(ledger, not_diamond, tmp_path):
    config = tmp_path / "own.toml"
    config.write_text(CONFIG)
    ran = train(ledger, not_diamond, "--config", config, "--profile", "three", answers="y\nn\n")
    assert ran.code == 0, ran.err
    assert len(not_diamond.uploads) == 1
    assert config.read_text() == CONFIG


def test_a_file_that_cannot_take_the_id_is_refused_before_anything_is_sent(ledger, not_diamond, tmp_path):
    config = tmp_path / "own.toml"
    for text, profile, says in (("[broken", "three", "not TOML"), (CONFIG, "nobody", "nobody")):
        config.write_text(text)
        ran = train(ledger, not_diamond, "--yes", "--config", config, "--profile", profile)
        assert ran.code == 1
        assert says in ran.words
        assert config.read_text() == text
    assert not_diamond.uploads == []


def test_models_that_not_diamond_does_not_know_are_left_out_and_named(ledger, not_diamond):
    not_diamond.models = ["x/cheap", "openai/gpt-5"]
    ran = train(ledger, not_diamond, "--yes")
    assert ran.code == 1
    assert "does not know them: x/strong" in ran.words
    assert "Only x/cheap has scores" in ran.words
    assert not_diamond.uploads == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(401, b"{}"), "check NOT_DIAMOND_API_KEY"),
        (reply(500, b"{}"), "HTTP 500"),
        (reply(200, b"<html>", "text/html"), "no preference_id"),
        (document({"preference_id": None}), "no preference_id"),
        (document({}), "no preference_id"),
    ],
)
def test_a_refusal_is_told_in_words_and_tried_once(ledger, not_diamond, answer, says):
    not_diamond.training = answer
    ran = train(ledger, not_diamond, "--yes")
    assert ran.code == 1
    assert says in ran.words
    assert len(not_diamond.uploads) == 1


def test_a_preference_id_that_is_not_taken_in_time_is_told_and_kept(ledger, not_diamond, tmp_path):
    not_diamond.answer = reply(404, b'{"detail":"Preference ID pref-1 not found"}')
    config = tmp_path / "own.toml"
    config.write_text(CONFIG)
    ran = train(ledger, not_diamond, "--yes", "--wait", "0.01", "--config", config, "--profile", "three")
    assert ran.code == 0, ran.err
    assert "Not yet" in ran.words
    assert tomllib.loads(config.read_text())["profiles"]["three"]["preference_id"] == "pref-1"


def test_too_few_turns_are_told_with_their_number(not_diamond, tmp_path):
    ran = train(ledger_of(tmp_path, 5), not_diamond, "--yes")
    assert ran.code == 1
    assert "5 turns" in ran.words
    assert "at least 25" in ran.words
    assert not_diamond.uploads == []


@pytest.mark.parametrize("contents", ["none", "hash"])
def test_a_ledger_without_prompts_says_which_setting_to_change(not_diamond, tmp_path, contents):
    ran = train(ledger_of(tmp_path, 3, contents), not_diamond, "--yes")
    assert ran.code == 1
    assert "ROUTER_LEDGER_CONTENTS=clipped" in ran.words
    assert "3 turns without their text" in ran.words


def test_a_ledger_that_no_other_process_can_read_is_named(not_diamond, tmp_path):
    nowhere = tmp_path / "nowhere.sqlite"
    for url, says in (("memory:", "in the router's memory"), (f"sqlite:///{nowhere}", "no ledger at")):
        ran = train({"ROUTER_LEDGER_URL": url, "ROUTER_LEDGER_CONTENTS": "clipped"}, not_diamond, "--yes")
        assert ran.code == 1
        assert "ROUTER_LEDGER_URL" in ran.words
        assert says in ran.words
    assert not nowhere.exists()


def test_a_missing_key_is_named(ledger):
    ran = console("train", "--yes", **ledger)
    assert ran.code == 1
    assert "NOT_DIAMOND_API_KEY" in ran.err
