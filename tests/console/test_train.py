"""`python -m console train`: a real router's ledger, the real SDK, and a fake Not Diamond on a real socket."""

import csv
import io
import json
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config

from router_service.ledger.migration import MIGRATIONS
from router_service.settings import load_catalog
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
            model = "x/cheap" if number % 3 == 1 else "x/middle"
            ask(port, f'Request {number}, "quoted",\nand a line', "applied", model)
            continue
        failed = ask(port, f"Request {number}", "edit_failed", "x/cheap")
        failed = ask(port, "# 1 SEARCH/REPLACE block failed", "edit_failed", "x/cheap", **after(failed))
        ask(port, "# 1 SEARCH/REPLACE block failed again", "applied", "x/strong", **after(failed))
    ask(port, "sentinel of the quiet profile", "applied", "x/cheap", profile="quiet")
    ask(port, "an answer that says nothing", "no_edits", "x/middle")
    ask(port, "mends what nobody knows", "applied", "x/middle", **after("dec_unknown"))
    ask(port, "sentinel of the scripted models", "applied", "demo/small")
    ask(port, "sentinel of the slug", "applied", "@openai-prod/gpt-5")


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


def test_an_export_holds_a_row_a_first_reply_and_sends_nothing(ledger, not_diamond, tmp_path):
    out = tmp_path / "turns.csv"
    ran = train(ledger, not_diamond, "--out", out)
    assert ran.code == 0, ran.err
    rows = rows_of(out.read_text(encoding="utf-8"))
    assert list(rows[0]) == [
        "prompt",
        "x/cheap/score",
        "x/cheap/response",
        "x/middle/score",
        "x/middle/response",
    ]
    assert len(rows) == TURNS
    # The strong model only ever mended what another one had failed at, so nothing is known of it.
    assert [rows[0][f"x/{name}/score"] for name in ("cheap", "middle")] == ["0.0", ""]
    assert [rows[1][f"x/{name}/score"] for name in ("cheap", "middle")] == ["1.0", ""]
    assert [rows[2][f"x/{name}/score"] for name in ("cheap", "middle")] == ["", "1.0"]
    assert rows[1]["prompt"] == 'Request 1, "quoted",\nand a line'
    assert all(row["x/cheap/response"] == row["x/middle/response"] == "" for row in rows)
    assert "x/cheap: 20 scores, 10 applied" in ran.out
    assert out.stat().st_mode & 0o777 == 0o600
    assert not_diamond.uploads == []
    assert "nothing was sent" in ran.out


def test_what_a_profile_does_not_let_out_is_not_exported_and_said(ledger, not_diamond, tmp_path):
    ran = train(ledger, not_diamond, "--out", tmp_path / "turns.csv")
    assert "sentinel of the quiet profile" not in (tmp_path / "turns.csv").read_text()
    assert "1 replies are left out: their profiles let no text out" in ran.words


def test_scripted_demo_models_are_not_trained_on(ledger, not_diamond, tmp_path):
    ran = train(ledger, not_diamond, "--out", tmp_path / "turns.csv")
    exported = (tmp_path / "turns.csv").read_text()
    assert "demo/" not in exported
    assert "sentinel of the scripted models" not in exported
    assert "1 replies are left out: scripted demo models gave them" in ran.words


def test_models_whose_provider_is_a_slug_are_not_trained_on(ledger, not_diamond, tmp_path):
    ran = train(ledger, not_diamond, "--out", tmp_path / "turns.csv")
    assert "sentinel of the slug" not in (tmp_path / "turns.csv").read_text()
    assert (
        "1 replies are left out: their models' providers (@...) are names that Not Diamond does not know" in ran.words
    )


def test_it_is_said_before_the_question_that_rows_have_one_score_each(ledger, not_diamond):
    ran = train(ledger, not_diamond, answers="n\n")
    said = ran.words.index("Not Diamond documents complete rows, the score and the response of every model")
    assert "A row here has one score" in ran.words
    assert said < ran.words.index("Send these 30 prompts")


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
        {"provider": "x", "model": "middle"},
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
    assert "does not know them: x/middle" in ran.words
    assert "There are 20 turns to train on" in ran.words
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


def test_an_export_of_nothing_is_an_error_and_writes_nothing(not_diamond, tmp_path):
    ran = train(ledger_of(tmp_path, 0), not_diamond, "--since", "2999-01-01", "--out", tmp_path / "turns.csv")
    assert ran.code == 1
    assert "holds no turns to train on" in ran.words
    assert not (tmp_path / "turns.csv").exists()


def test_one_model_is_not_enough(not_diamond, tmp_path):
    config = tmp_path / "router.toml"
    config.write_text(CONFIG)
    env = {"ROUTER_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.sqlite'}", "ROUTER_CONFIG": str(config)}
    env["ROUTER_LEDGER_CONTENTS"] = "clipped"
    port = free_port()
    process = start_router(port, **env)
    for number in range(25):
        ask(port, f"Request {number}", "applied", "x/cheap")
    process.stop()
    ran = train(env, not_diamond, "--yes")
    assert ran.code == 1
    assert "Only x/cheap has scores" in ran.words
    assert not_diamond.uploads == []


def test_a_language_that_not_diamond_does_not_take_is_refused(ledger, not_diamond):
    ran = train(ledger, not_diamond, "--yes", "--language", "klingon")
    assert ran.code == 2
    assert "multilingual" in ran.words
    assert not_diamond.uploads == []
    assert train(ledger, not_diamond, "--yes", "--wait", "0", "--language", "multilingual").code == 0
    assert [upload["language"] for upload in not_diamond.uploads] == ["multilingual"]


def test_a_ledger_of_an_earlier_release_is_not_migrated_by_reading_it(not_diamond, tmp_path):
    path = tmp_path / "ledger.sqlite"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    migrations = Config()
    migrations.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        migrations.attributes["connection"] = connection
        command.upgrade(migrations, "0001")
    engine.dispose()
    before = path.read_bytes()
    ran = train(
        {"ROUTER_LEDGER_URL": f"sqlite:///{path}", "ROUTER_LEDGER_CONTENTS": "clipped"},
        not_diamond,
        "--out",
        tmp_path / "turns.csv",
    )
    assert ran.code == 1
    assert "another release" in ran.words
    assert "migrates nothing" in ran.words
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    # All but the header's two bytes that say by which kind of journal it is written.
    assert path.read_bytes()[100:] == before[100:]


def test_a_profile_of_another_file_is_not_replaced_by_a_copy_of_the_shipped_one(ledger, not_diamond, tmp_path):
    ours, other = tmp_path / "ours.toml", tmp_path / "other.toml"
    ours.write_text(CONFIG + '[profiles.auto]\ncandidates = ["x/*"]\ncost_quality_tradeoff = 9\n')
    for text in ("# nothing yet\n", "[tenants.acme]\nallow = ['*']\n"):
        other.write_text(text)
        for named in (f"{ours}:{other}", f"{other}:{ours}", f"{ours}"):
            ran = train({**ledger, "ROUTER_CONFIG": named}, not_diamond, "--yes", "--config", other)
            assert ran.code == 1
            assert f"{ours} does" in ran.words
            assert other.read_text() == text
    assert not_diamond.uploads == []


def test_a_profile_that_a_later_file_replaces_is_written_there_and_not_where_nobody_would_read_it(
    ledger, not_diamond, tmp_path
):
    first, last = tmp_path / "first.toml", tmp_path / "last.toml"
    first.write_text(CONFIG)
    last.write_text('[profiles.three]\ncandidates = ["x/cheap", "x/middle"]\ncost_quality_tradeoff = 9\n')
    env = {**ledger, "ROUTER_CONFIG": f"{first}:{last}"}
    ran = train(env, not_diamond, "--yes", "--config", first, "--profile", "three")
    assert ran.code == 1
    assert f"{last} does" in ran.words
    assert first.read_text() == CONFIG
    # The models of that profile are defined in another file, which is no fault.
    ran = train(env, not_diamond, "--yes", "--config", last, "--profile", "three")
    assert ran.code == 0, ran.err
    assert tomllib.loads(last.read_text())["profiles"]["three"] == {
        "candidates": ["x/cheap", "x/middle"],
        "cost_quality_tradeoff": 9,
        "preference_id": "pref-1",
    }
    assert "a running router takes it up" in ran.words


def test_a_file_that_refers_to_a_model_of_another_one_is_no_fault(ledger, not_diamond, tmp_path):
    models, profiles = tmp_path / "models.toml", tmp_path / "profiles.toml"
    models.write_text(CONFIG)
    profiles.write_text('[profiles.own]\ncandidates = ["x/*"]\ncost_quality_tradeoff = 1\nbaseline = "x/strong"\n')
    env = {**ledger, "ROUTER_CONFIG": f"{models}:{profiles}"}
    ran = train(env, not_diamond, "--yes", "--config", profiles, "--profile", "own")
    assert ran.code == 0, ran.err
    assert tomllib.loads(profiles.read_text())["profiles"]["own"]["preference_id"] == "pref-1"


def test_a_shipped_profile_that_nobody_replaced_is_copied_and_keeps_all_its_rules(ledger, not_diamond, tmp_path):
    config = tmp_path / "own.toml"
    config.write_text(CONFIG)
    ran = train({**ledger, "ROUTER_CONFIG": str(config)}, not_diamond, "--yes", "--config", config)
    assert ran.code == 0, ran.err
    shipped, own = load_catalog("").profiles["auto"], load_catalog(str(config)).profiles["auto"]
    assert own == shipped.model_copy(update={"preference_id": "pref-1"})
    assert "copy of the shipped profile" in ran.words


def test_a_missing_key_is_named(ledger):
    ran = console("train", "--yes", **ledger)
    assert ran.code == 1
    assert "NOT_DIAMOND_API_KEY" in ran.err
