"""Real Aider tells how each reply fared: a failed edit, a failing test, an undo, each acted on, explained and kept."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from protos.router.v1 import router_pb2 as pb
from tests.end_to_end.aider_runs import Repository
from tests.end_to_end.header_tap import HeaderTap
from tests.fakes import provider as fake
from tests.fakes.provider import FakeProvider
from tests.processes import Process, free_port, start_edge, start_router, wait_until
from tests.router_service.calls import call

MODEL = """
[[models]]
id = "fake/{name}"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = {price}
output_usd_per_mtok = {price}
source = "made up"
checked = "2026-11-23"
prior = "{prior}"
prior_kind = "inherited"
"""
# `good` mends half of its failures, so it gets a second try; `best` is stronger, and its edits are better formed.
ROUTER = (
    MODEL.format(name="good", price=0.1, prior="DeepSeek-V3.2-Exp (Chat)")
    + MODEL.format(name="best", price=20, prior="gemini-2.5-pro-preview-06-05 (32k think)")
    + """
[profiles.auto]
candidates = ["fake/good", "fake/best"]
cost_quality_tradeoff = 9
not_diamond = false

[profiles.auto-weak]
candidates = ["fake/good"]
cost_quality_tradeoff = 10
not_diamond = false
"""
)
EDGE = """
[providers.fake]
slug = "openai"
base_url = "{provider}"
verbatim = true
"""
CALC = "def add(a, b):\n    return a + b\n"
TYPED = "def add(a: int, b: int) -> int:\n    return a + b\n"


def edit(search: str, replace: str) -> str:
    return f"Done.\n\ncalc.py\n```python\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n```\n"


RIGHT = edit(CALC, TYPED)
# What no file holds.
UNMATCHED = edit("def add(x, y):\n    result = x + y\n    return result\n", TYPED)


def replies(*texts: str) -> fake.Behaviour:
    """These texts one after the other, the last one ever after; a commit message where one is asked for."""
    left = list(texts)

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        if "commit message" in body["messages"][0]["content"]:
            message = {"role": "assistant", "content": "feat: add types"}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        text = left.pop(0) if len(left) > 1 else left[0]
        chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        return await fake.stream(request, (b"data: " + json.dumps(chunk).encode() + b"\n\n", *fake.EVENTS[2:]))

    return behave


@dataclass
class Watched:
    """The running services, what their answers' headers said, and their ledger."""

    url: str
    tap: HeaderTap
    provider: FakeProvider
    router_port: int
    edge: Process
    ledger: Path

    def turns(self) -> list[dict[str, str]]:
        """The headers of the answers that were no commit messages."""
        return [answer for answer in self.tap.answers if answer["x-router-purpose"] == "code"]

    def explain(self, turn: dict[str, str]) -> pb.ExplainDecisionResponse:
        request = pb.ExplainDecisionRequest(decision_id=turn["x-router-decision-id"])
        return call(self.router_port, "ExplainDecision", request)

    def row(self, turn: dict[str, str]) -> tuple[str, str, str]:
        """Chosen model, source and outcome as the ledger's table has them."""
        with sqlite3.connect(self.ledger) as connection:
            found = connection.execute(
                "SELECT model, source, outcome FROM decisions WHERE id = ?", (turn["x-router-decision-id"],)
            ).fetchone()
        return found or ("", "", "")

    def settled(self, turn: dict[str, str], outcome: str) -> bool:
        """Whether the ledger knows that a turn's reply came to this."""
        wait_until(lambda: self.row(turn)[2] == outcome, f"the ledger says {outcome}, not {self.row(turn)}")
        return True


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, provider: FakeProvider, portkey: int) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "router.toml").write_text(ROUTER)
    (folder / "edge.toml").write_text(EDGE.format(provider=provider.url))
    router_port, edge_port = free_port(), free_port()
    ledger = folder / "ledger.db"
    router = start_router(
        router_port, ROUTER_CONFIG=str(folder / "router.toml"), ROUTER_LEDGER_URL=f"sqlite:///{ledger}"
    )
    edge = start_edge(
        edge_port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(folder / "edge.toml"),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    tap = HeaderTap(f"http://127.0.0.1:{edge_port}")
    yield Watched(f"{tap.url}/v1", tap, provider, router_port, edge, ledger)
    tap.close()
    edge.stop()
    router.stop()


@pytest.fixture
def watched(services: Watched) -> Watched:
    services.tap.answers.clear()
    services.provider.reset()
    return services


@pytest.fixture
def project(repository: Repository) -> Repository:
    repository.write("calc.py", CALC)
    repository.git("add", ".")
    repository.git("commit", "-qm", "start")
    return repository


def test_an_edit_that_fails_to_match_goes_to_a_model_with_better_formed_edits_and_lands(
    project: Repository, watched: Watched
):
    watched.provider.script |= {"good": replies(UNMATCHED), "best": replies(RIGHT)}
    said = project.aider(watched.url, "add type hints to add", "calc.py")
    assert project.read("calc.py") == TYPED, said
    first, second = watched.turns()
    assert (first["x-served-model"], first["x-router-previous-outcome"]) == ("fake/good", "none")
    assert (second["x-served-model"], second["x-router-source"]) == ("fake/best", "escalated")
    assert second["x-router-previous-outcome"] == "edit_failed"
    assert first["x-router-conversation-id"] == second["x-router-conversation-id"]
    trace = watched.explain(second)
    assert trace.previous_reply.outcome == pb.OUTCOME_EDIT_FAILED
    assert trace.previous_reply.decision_id == first["x-router-decision-id"]
    assert (trace.pin.model, trace.pin.kept) == ("fake/good", False)
    assert "fake/good" in trace.decision.reason
    assert "fake/best" in trace.decision.reason
    assert watched.settled(first, "edit_failed")
    assert watched.settled(second, "applied")
    assert watched.row(second)[:2] == ("fake/best", "escalated")


def test_tests_that_fail_twice_escalate_after_one_more_try(project: Repository, watched: Watched):
    project.write("check.py", "from calc import add\nassert add(2, 2) == 4\n")
    project.git("add", ".")
    project.git("commit", "-qm", "check")
    wrong, still_wrong = "def add(a, b):\n    return a - b\n", "def add(a, b):\n    return a * b + 1\n"
    watched.provider.script |= {
        "good": replies(edit(CALC, wrong), edit(wrong, still_wrong)),
        "best": replies(edit(still_wrong, TYPED)),
    }
    said = project.aider(
        watched.url, "add type hints to add", "--auto-test", "--test-cmd", "python3 -B check.py", "calc.py"
    )
    assert project.read("calc.py") == TYPED, said
    first, second, third = watched.turns()
    assert [turn["x-served-model"] for turn in (first, second, third)] == ["fake/good", "fake/good", "fake/best"]
    assert [turn["x-router-previous-outcome"] for turn in (first, second, third)] == [
        "none",
        "command_failed",
        "command_failed",
    ]
    assert "one more try" in second["x-router-reason"]
    assert third["x-router-source"] == "escalated"
    assert watched.explain(third).previous_reply.consecutive_failures == 2
    assert watched.explain(third).previous_reply.decision_id == second["x-router-decision-id"]
    assert watched.settled(first, "command_failed")
    assert watched.settled(second, "command_failed")
    assert watched.settled(third, "applied")


def test_an_undo_makes_the_next_request_leave_the_model(project: Repository, watched: Watched):
    watched.provider.script |= {"good": replies(RIGHT), "best": replies(RIGHT)}
    said = project.aider_session(watched.url, ["add type hints to add", "/undo", "try it again, please"], "calc.py")
    assert project.read("calc.py") == TYPED, said
    first, second = watched.turns()
    assert (first["x-served-model"], second["x-served-model"]) == ("fake/good", "fake/best")
    assert second["x-router-previous-outcome"] == "undone"
    assert second["x-router-source"] == "escalated"
    trace = watched.explain(second)
    assert trace.previous_reply.outcome == pb.OUTCOME_UNDONE
    assert trace.previous_reply.decision_id == first["x-router-decision-id"]
    assert watched.settled(first, "undone")


def test_an_edit_that_stays_keeps_the_model_for_the_next_request(project: Repository, watched: Watched):
    documented = TYPED + '\n\n__doc__ = "sums"\n'
    watched.provider.script |= {"good": replies(RIGHT, edit(TYPED, documented))}
    said = project.aider_session(watched.url, ["add type hints to add", "now document it"], "calc.py")
    assert project.read("calc.py") == documented, said
    first, second = watched.turns()
    assert [turn["x-served-model"] for turn in (first, second)] == ["fake/good", "fake/good"]
    assert (second["x-router-previous-outcome"], second["x-router-source"]) == ("applied", "pinned")
    assert watched.settled(first, "applied")
    assert watched.settled(second, "applied")
