"""Measures what the router's own work costs: CPU time of each stage of a decision and of a report, without gRPC.

The parts are the real ones: the shipped catalogue, pins in memory, the ledger in SQLite, the log to /dev/null. Each
conversation has a fresh decision, one that stays on its pin, and one that escalates, with the reports that an edge sends in
between. Stages are timed one by one, so with caches as cold as they are between two requests of a router that is little busy;
run over and over, each costs about half. Writes bench/results/decision_cost.json and prints the table.
"""

import asyncio
import gc
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from protos.router.v1 import router_pb2 as pb
from router_service import local_policy, policy, telemetry
from router_service.__main__ import SELDOM
from router_service.candidates import Candidates
from router_service.domain import Decision, Source
from router_service.ledger import Ledger, open_ledger
from router_service.pins import Pins
from router_service.reporting import Reporting
from router_service.selection import Selection
from router_service.settings import load_catalog
from router_service.standings import Standings
from router_service.stores.memory import MemoryStore
from router_service.watch import Watchers
from router_service.wire import reading, writing

RESULT = Path(__file__).parent / "results" / "decision_cost.json"
ROUNDS, CONVERSATIONS = 9, 200
TEXT = "Fix the failing test in calc.py and add type hints. " * 20
PROVIDERS = ("anthropic", "deepseek", "google", "groq", "mistral", "openai", "xai")
KINDS = ("fresh", "pinned", "escalated")
# What a decision costs on the event loop, in the order of its way; ranking and pin are parts of `select`.
LOOP = ("read", "select", "record", "log", "write")


@dataclass
class Costs:
    """CPU microseconds, by kind and stage, a list for each round."""

    rounds: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)

    def begin(self) -> None:
        """A new round."""
        for times in self.rounds.values():
            times.append([])

    def add(self, kind: str, stage: str, since: int) -> None:
        """What was spent since then."""
        spent = time.thread_time_ns() - since
        self.rounds.setdefault((kind, stage), [[]])[-1].append(spent / 1000)

    def of(self, kind: str, stage: str) -> float:
        """The median over the rounds of their means: a collection counts, another program's rush does not."""
        return round(statistics.median(statistics.fmean(times) for times in self.rounds[kind, stage] if times), 1)


def asked(conversation: str, turn: int, previous: Decision | None, outcome: int) -> bytes:
    """A request as an edge writes it, on the wire."""
    made = pb.SelectModelRequest(
        profile="auto",
        purpose=pb.PURPOSE_CODE,
        edit_format="diff",
        conversation_id=conversation,
        available_providers=PROVIDERS,
        tenant="bench",
        caller="bench",
    )
    made.requirements.input_tokens = 8000 + 500 * turn
    made.messages.add(role="system", text="Act as an expert software developer. " * 10)
    for number in range(turn + 1):
        made.messages.add(role="user", text=f"{number} {TEXT}")
    if previous is not None:
        made.previous_reply.outcome = pb.Outcome.ValueType(outcome)
        made.previous_reply.model = previous.model
        made.previous_reply.decision_id = previous.id
        made.previous_reply.consecutive_failures = int(outcome == pb.OUTCOME_EDIT_FAILED)
    return made.SerializeToString()


def told(decision: Decision, outcome: int, tokens: int = 0) -> bytes:
    """A report as an edge writes it, on the wire."""
    made = pb.ReportOutcomeRequest(
        decision_id=decision.id, served_model=decision.model, outcome=pb.Outcome.ValueType(outcome)
    )
    if tokens:
        made.input_tokens, made.output_tokens = 8000, tokens
        made.latency.seconds, made.time_to_first_byte.nanos = 3, 400_000_000
    return made.SerializeToString()


class Bench:
    """The router's parts, and what they cost."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.costs = Costs()
        self.pins = Pins(MemoryStore(100_000))
        self.selection = Selection(load_catalog(""), None, self.pins, 0.0, time.time)
        self.candidates, self.standings = Candidates(self.selection.catalog), Standings(self.selection.catalog)
        self.watchers = Watchers()

    def open(self) -> Ledger:
        """The ledger; it writes when it is closed."""

        def problem(name: str, fields: dict) -> None:
            raise AssertionError(f"{name} {fields}")

        return open_ledger(self.url, 2_000, "none", 0, problem, flush_interval=600)

    async def decide(self, kind: str, wire: bytes, ledger: Ledger) -> Decision:
        """One decision, as the servicer has it made."""
        add, now = self.costs.add, time.thread_time_ns
        since = now()
        request = reading.read_request(pb.SelectModelRequest.FromString(wire))
        add(kind, "read", since)
        since = now()
        decision = await self.selection.select(request, 5.0)
        add(kind, "select", since)
        since = now()
        ledger.record(decision)
        add(kind, "record", since)
        since = now()
        telemetry.decided(decision, 0.5)
        add(kind, "log", since)
        since = now()
        writing.write_decision(decision).SerializeToString()
        add(kind, "write", since)
        await self.parts(kind, decision)
        return decision

    async def parts(self, kind: str, decision: Decision) -> None:
        """Two parts of `select` once more, on their own: the pin, and candidates with their ranking."""
        request, catalog = decision.request, self.selection.catalog
        since = time.thread_time_ns()
        await self.pins.find(request)
        self.costs.add(kind, "pin", since)
        applied = policy.policy_for(request, catalog)
        today = datetime.now(UTC).date()
        situation = local_policy.Situation(request.requirements, applied.tradeoff, self.standings.of(request.purpose))
        since = time.thread_time_ns()
        kept = self.candidates.shortlist(applied.names, request, today).kept
        local_policy.rank(kept, situation)
        self.costs.add(kind, "ranking", since)

    async def report(self, reporting: Reporting, wire: bytes) -> None:
        """One report, as the servicer takes it in."""
        since = time.thread_time_ns()
        await reporting.take_in(reading.read_report(pb.ReportOutcomeRequest.FromString(wire)))
        self.costs.add("report", "loop", since)

    async def conversation(self, name: str, ledger: Ledger, reporting: Reporting) -> list[Decision]:
        """Three turns: the second finds its edits applied, the third finds that they failed."""
        first = await self.decide("fresh", asked(name, 0, None, 0), ledger)
        await self.report(reporting, told(first, pb.OUTCOME_COMPLETED, 900))
        await self.report(reporting, told(first, pb.OUTCOME_APPLIED))
        second = await self.decide("pinned", asked(name, 1, first, pb.OUTCOME_APPLIED), ledger)
        await self.report(reporting, told(second, pb.OUTCOME_COMPLETED, 1100))
        await self.report(reporting, told(second, pb.OUTCOME_EDIT_FAILED))
        third = await self.decide("escalated", asked(name, 2, second, pb.OUTCOME_EDIT_FAILED), ledger)
        assert (second.source, third.source) == (Source.PINNED, Source.ESCALATED), (second.reason, third.reason)
        return [first, second, third]

    async def round(self, number: int) -> None:
        """Conversations one after the other, then what writing them costs."""
        self.costs.begin()
        ledger = self.open()
        reporting = Reporting(self.selection, ledger, self.watchers)
        made: list[Decision] = []
        for one in range(CONVERSATIONS):
            made += await self.conversation(f"conv_{number}_{one}", ledger, reporting)
        await ledger.close()
        await self.written("decision", made, self.replayed)
        await self.written("report", made, self.reported)

    async def replayed(self, ledger: Ledger, made: list[Decision]) -> int:
        """The decisions once more."""
        for decision in made:
            # Under a new id, so that it is written once more.
            ledger.record(replace(decision, id=decision.id.replace("dec_", "two_")))
        return len(made)

    async def reported(self, ledger: Ledger, made: list[Decision]) -> int:
        """A report on each decision."""
        for decision in made:
            report = reading.read_report(pb.ReportOutcomeRequest.FromString(told(decision, pb.OUTCOME_COMPLETED, 700)))
            await ledger.report(report)
        return len(made)

    async def written(
        self, kind: str, made: list[Decision], put: Callable[[Ledger, list[Decision]], Awaitable[int]]
    ) -> None:
        """What the ledger's own thread spends on entries that came in a burst, each."""
        ledger = self.open()
        count = await put(ledger, made)
        all_threads, mine = time.process_time_ns(), time.thread_time_ns()
        await ledger.close()
        spent = time.process_time_ns() - all_threads - (time.thread_time_ns() - mine)
        self.costs.rounds.setdefault((kind, "writer"), [[]])[-1].append(spent / 1000 / count)


def table(costs: Costs) -> dict:
    """CPU microseconds by kind of decision, then what the ledger's thread spends, then a report."""
    rows: dict = {}
    for kind in KINDS:
        row = {stage: costs.of(kind, stage) for stage in (*LOOP, "pin", "ranking")}
        row["rest of select"] = round(row["select"] - row["pin"] - row["ranking"], 1)
        row["loop"] = round(sum(row[stage] for stage in LOOP), 1)
        rows[kind] = row
    rows["report"] = {"loop": costs.of("report", "loop"), "writer": costs.of("report", "writer")}
    rows["decision"] = {"writer": costs.of("decision", "writer")}
    return rows


async def measure() -> dict:
    with TemporaryDirectory() as folder:
        bench = Bench(f"sqlite:///{folder}/ledger.db")
        for number in range(ROUNDS + 1):
            await bench.round(number)
            if number == 0:
                # The first round warms up.
                bench.costs.rounds.clear()
            print(f"round {number} of {ROUNDS}", end="\r", flush=True)
        return table(bench.costs)


def main() -> None:
    """Measure, print and write."""
    load = os.getloadavg()[0]
    # The log goes to standard error.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    telemetry.configure()
    # As the service sets it.
    gc.set_threshold(*SELDOM)
    rows = asyncio.run(measure())
    print("CPU microseconds (medians of the rounds' means)")
    for kind, row in rows.items():
        print(f"  {kind:<10}" + "  ".join(f"{stage} {spent}" for stage, spent in row.items()))
    machine = {"cores": os.cpu_count(), "python": sys.version.split()[0], "load_before": load}
    result = {"date": time.strftime("%Y-%m-%d"), "machine": machine, "cpu_us": rows}
    RESULT.write_text(dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
