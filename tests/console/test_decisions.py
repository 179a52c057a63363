"""`explain` and `decisions`: why a model is chosen, what was chosen, and what is being chosen, over the router's restarts."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict

from protos.router.v1 import router_pb2 as pb
from tests.console.commands import console
from tests.console.house import House
from tests.processes import Process, free_port, log_lines, start_router, wait_until
from tests.router_service.calls import call, select


def at(house: House) -> int:
    return int(house.router.rpartition(":")[2])


def report(port: int, **fields: object) -> None:
    call(port, "ReportOutcome", ParseDict(fields, pb.ReportOutcomeRequest()))


def test_a_dry_decision_names_the_model_the_ranking_and_who_was_removed_for_what(up: House):
    ran = console("explain", "rename greet to welcome", "--purpose", "code", **up.settings)
    assert ran.code == 0, ran.err
    first = ran.out.splitlines()[0]
    assert first.startswith("demo/large for code: ")
    assert "Why: " in ran.out
    assert "profile auto" in ran.out
    for model in ("demo/large", "demo/medium", "demo/small"):
        assert model in ran.out
    # The edge says that it reaches the demo models alone.
    assert "Removed:" in ran.out
    assert "provider: " in ran.out
    assert "openai/gpt-6.1-sol" in ran.words
    assert "Not Diamond was not asked." in ran.out
    assert "Nothing has been reported" in ran.out


def test_a_model_whose_name_looks_like_markup_is_shown_as_it_is_called(up: House):
    made = select(at(up), model="openai/x[/b]:smile:", tenant="brackets").decision_id
    for words in (("decisions", "--tenant", "brackets"), ("explain", "--decision", made)):
        ran = console(*words, **up.settings)
        assert "openai/x[/b]:smile:" in ran.out, ran.err


def test_options_reach_the_router_and_json_has_the_whole_trace(up: House):
    ran = console(
        "explain", "-", "--profile", "thrifty", "--purpose", "commit", "--tradeoff", "10", "--input-tokens", "5000",
        "--tools", "--json", answers="Say what was done.", **up.settings,
    )  # fmt: skip
    trace = json.loads(ran.out)
    assert (trace["profile"], trace["purpose"], trace["cost_quality_tradeoff"]) == ("thrifty", "commit", 10)
    assert (trace["requirements"]["input_tokens"], trace["requirements"]["tools"]) == (5000, True)
    assert trace["decision"]["model"] == "demo/small"
    assert [entry["model"] for entry in trace["decision"]["ranking"]] == ["demo/small", "demo/medium"]
    named = console("explain", "x", "--candidate", "demo/medium", "--json", **up.settings)
    assert json.loads(named.out)["decision"]["model"] == "demo/medium"


def test_a_past_decision_is_told_with_what_was_reported_of_it(up: House):
    decision = select(at(up), profile="auto", purpose="PURPOSE_CODE", tenant="told").decision_id
    report(
        at(up),
        decision_id=decision,
        served_model="demo/medium",
        outcome="OUTCOME_APPLIED",
        input_tokens=1200,
        output_tokens=30,
    )
    ran = console("explain", "--decision", decision, **up.settings)
    assert ran.code == 0, ran.err
    assert f"Decision {decision}" in ran.out
    assert "tenant told" in ran.out
    assert "applied by demo/medium, 1,200 tokens in and 30 out" in ran.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["explain"], 2, "either a prompt or --decision"),
        (["explain", "x", "--purpose", "poetry"], 2, "cache_ping"),
        (["explain", "x", "--tradeoff", "11"], 2, "10"),
        (["explain", "x", "--profile", "nobody"], 1, "There is no profile 'nobody'"),
        (["explain", "--decision", "nothing"], 1, "There is no decision 'nothing'"),
        (["decisions", "--since", "yesterday"], 2, "7d"),
    ],
)
def test_what_cannot_be_asked_is_told_in_words_and_by_the_exit_code(up: House, words: list[str], code: int, says: str):
    ran = console(*words, **up.settings)
    assert ran.code == code
    assert says in ran.words
    assert ran.out == ""


def test_decisions_are_listed_latest_first_and_filters_restrict(up: House):
    ids = [
        select(at(up), profile=profile, tenant="listed", availableProviders=["demo"]).decision_id
        for profile in ("auto", "thrifty", "auto")
    ]
    shown = json.loads(console("decisions", "--tenant", "listed", "--json", **up.settings).out)["decisions"]
    assert [one["decision_id"] for one in shown] == ids[::-1]
    only = json.loads(console("decisions", "--tenant", "listed", "--profile", "thrifty", "--json", **up.settings).out)
    assert [one["decision_id"] for one in only["decisions"]] == [ids[1]]
    last = json.loads(console("decisions", "--tenant", "listed", "--limit", "1", "--json", **up.settings).out)
    assert [one["decision_id"] for one in last["decisions"]] == [ids[2]]
    table = console("decisions", "--tenant", "listed", **up.settings)
    assert all(one in "".join(table.out.split()) for one in ids)
    assert "No such decision" in console("decisions", "--tenant", "nobody", **up.settings).out


@pytest.fixture
def follow() -> Iterator[Callable[..., Process]]:
    """Starts `decisions --follow` and has it ended by Ctrl-C, as it should be: with 0."""
    started = []

    def start(router: int, *words: str) -> Process:
        # Whoever runs the tests in the background may have had Ctrl-C ignored.
        argv = [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "console",
            "--env-file",
            os.devnull,
            "decisions",
            "--follow",
            *words,
        ]
        started.append(Process(argv, {"EDGE_ROUTER": f"127.0.0.1:{router}", "PYTHONUNBUFFERED": "1"}, "follow"))
        return started[-1]

    yield start
    for process in started:
        assert process.stop(signal.SIGINT) == 0, process.text()
        assert "Traceback" not in process.text()
        assert "Abort" not in process.text()


def followed(process: Process) -> list[dict]:
    return log_lines(process.text())


def test_decisions_and_reports_are_followed_and_ctrl_c_ends_it(up: House, follow: Callable[..., Process]):
    process = follow(at(up))
    wait_until(lambda: "Ctrl-C ends it" in process.text(), "it follows")
    made = []

    def shown() -> bool:
        # The watch begins a moment after it is announced.
        made.append(select(at(up), profile="thrifty", tenant="followed", availableProviders=["demo"]).decision_id)
        return any(one in process.text() for one in made)

    wait_until(shown, "a decision is shown")
    report(at(up), decision_id=made[-1], served_model="demo/small", outcome="OUTCOME_EDIT_FAILED")
    wait_until(lambda: "edit failed" in process.text(), "a report is shown")


def test_a_router_that_restarts_is_waited_for_and_nothing_is_missed_or_told_twice(
    tmp_path: Path, follow: Callable[..., Process]
):
    port = free_port()
    ledger = {"ROUTER_LEDGER_URL": f"sqlite:///{tmp_path / 'router.sqlite'}"}
    router = start_router(port, **ledger)
    process = follow(port, "--json", "--tenant", "watched")
    made = []

    def shown() -> bool:
        made.append(select(port, profile="auto", tenant="watched").decision_id)
        return bool(followed(process))

    wait_until(shown, "a decision is shown")
    router.stop(signal.SIGKILL)
    wait_until(lambda: "does not answer" in process.text(), "its absence is told")
    router = start_router(port, **ledger)
    try:
        # Made as soon as the router is back, whether it is watched again or not yet.
        after = [select(port, profile="auto", tenant="watched").decision_id for _ in range(5)]
        select(port, profile="auto", tenant="other")
        wait_until(lambda: set(after) <= {one["decision"]["decision_id"] for one in followed(process)}, "all are shown")
        told = [one["decision"]["decision_id"] for one in followed(process)]
        assert len(told) == len(set(told))
        assert {one["decision"]["tenant"] for one in followed(process)} == {"watched"}
        assert "It is back." in process.text()
    finally:
        router.stop()


def test_a_router_that_is_not_there_at_the_start_is_named_at_once():
    ran = console("decisions", "--follow", "--router", f"127.0.0.1:{free_port()}")
    assert ran.code == 1
    assert "No router answers" in ran.err
