"""While router, edge and Portkey die again and again, what clients are given is right, and what was decided is kept."""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.provider import FakeProvider
from tests.faults import echo, kept
from tests.faults.clients import Tally, ask_all, requests
from tests.faults.house import NAMES, House
from tests.processes import NEVER, log_events

pytestmark = pytest.mark.timeout(900)
REQUESTS = 2_000
SEED = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(10_000)))
# What the router says: a decision is written within so many seconds.
FLUSH = 0.2
# After how many further requests the next process falls, and at most how many seconds after that.
FEWEST, MOST, LATER = 60, 140, 0.3
LONGEST_END = NEVER


@dataclass
class Falls:
    """Which process fell when, by its name."""

    at: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in NAMES})


@dataclass
class Outcome:
    """What is to be judged when all is over."""

    tally: Tally
    falls: Falls
    rows: kept.Kept
    # Decisions that are not kept though a later one is.
    overtaken: list[str]
    # Decisions that are not kept, and how long before the end of their router they were made.
    lost: dict[str, float]
    logged: int
    seconds: float

    @property
    def missing(self) -> dict[str, float]:
        """Of the decisions that clients saw those that are not kept; infinitely old where no log tells of them."""
        unseen = self.tally.seen - set(self.rows.decisions)
        return {decision_id: self.lost.get(decision_id, float("inf")) for decision_id in unseen}

    def table(self, how: str) -> str:
        ages = [f"{age * 1000:.0f}" for age in sorted(self.missing.values())]
        unreported = self.tally.served - {decision_id for decision_id, _ in self.rows.reported}
        told = {
            f"requests, {how} (seed {SEED})": f"{REQUESTS} in {self.seconds:.0f} s",
            "tries by their end": ", ".join(f"{count} {end}" for end, count in self.tally.ends.most_common()),
            "processes ended": ", ".join(f"{name} {len(times)}" for name, times in self.falls.at.items()),
            "decisions clients saw": len(self.tally.seen),
            "decisions in the routers' logs": self.logged,
            "decisions in the ledger": len(self.rows.decisions),
            "missing of those that clients saw": f"{len(self.missing)} (ms before the end: {', '.join(ages) or '-'})",
            f"  of them within {FLUSH * 1000:.0f} ms of it": sum(age <= FLUSH for age in self.missing.values()),
            "missing of those in the logs": len(self.lost),
            "reports in the ledger": len(self.rows.reported),
            "whole answers without a report": len(unreported),
            "integrity, torn, doubled": f"{self.rows.integrity}, {len(self.rows.torn)}, {len(self.rows.doubled)}",
        }
        return "\n".join(f"{name:<36} {value}" for name, value in told.items())


async def _let_fall(house: House, tally: Tally, falls: Falls, *, at_once: bool) -> None:
    """One process after the other falls, at moments that the seed decides, and is started again at the same address."""
    chance = random.Random(SEED)
    names: list[str] = []
    while await tally.reaches(tally.done + chance.randint(FEWEST, MOST)):
        await asyncio.sleep(chance.uniform(0, LATER))
        names = names or chance.sample(NAMES, len(NAMES))
        name = names.pop()
        falls.at[name].append(time.time())
        if at_once:
            await asyncio.to_thread(house.kill, name)
        else:
            await asyncio.to_thread(house.ask_to_stop, name)
            await asyncio.to_thread(house.running(name).popen.wait, LONGEST_END)
        await asyncio.to_thread(house.start, name)


async def under_fire(provider: FakeProvider, folder: Path, *, at_once: bool) -> Outcome:
    """All requests, while processes fall: `at_once` by SIGKILL, else by SIGTERM."""
    provider.reset()
    provider.script |= dict.fromkeys(("first", "second"), echo.answer)
    ledger = folder / "ledger.sqlite"
    house = House(provider, folder)
    house.settings["router"]["ROUTER_LEDGER_URL"] = f"sqlite:///{ledger}"
    tally, falls = Tally(), Falls()
    try:
        await asyncio.to_thread(house.start_all)
        started = time.monotonic()
        falling = asyncio.create_task(_let_fall(house, tally, falls, at_once=at_once))
        await ask_all(f"http://127.0.0.1:{house.ports['edge']}", requests(REQUESTS, SEED), tally)
        # What has fallen is put up again first.
        await falling
        seconds = time.monotonic() - started
    finally:
        # The last ones are asked to stop, so that what they have queued is kept; the edge first.
        await asyncio.to_thread(house.stop)
    rows = kept.read(ledger)
    routers = house.lives["router"]
    ended = [*falls.at["router"], time.time()][: len(routers)]
    logged = sum(len(log_events(router, "decided")) for router in routers)
    lost = kept.lost(routers, ended, rows)
    return Outcome(tally, falls, rows, kept.late(routers, rows), lost, logged, seconds)


def judge(outcome: Outcome) -> None:
    """What holds however the processes end."""
    assert outcome.tally.wrong == []
    assert outcome.tally.given_up == []
    assert outcome.rows.integrity == "ok"
    assert outcome.rows.torn == []
    assert outcome.rows.doubled == []
    # Enough to tell of. How many there are depends on how long a router takes to start: meanwhile the edge decides.
    assert len(outcome.tally.seen) > REQUESTS / 10


async def test_killed_processes_cost_no_answer_and_no_decision_but_the_last_ones(
    provider: FakeProvider, tmp_path: Path
):
    outcome = await under_fire(provider, tmp_path, at_once=True)
    print(f"\n{outcome.table('kill -9')}")
    judge(outcome)
    assert all(outcome.falls.at.values())
    # How long before a router's end is printed above: it is FLUSH where the machine is not overrun.
    assert outcome.overtaken == []
    assert all(age < float("inf") for age in outcome.missing.values())


async def test_processes_that_are_asked_to_stop_cost_no_answer_and_no_decision(provider: FakeProvider, tmp_path: Path):
    outcome = await under_fire(provider, tmp_path, at_once=False)
    print(f"\n{outcome.table('SIGTERM')}")
    judge(outcome)
    assert all(outcome.falls.at.values())
    assert outcome.missing == {}
    assert outcome.lost == {}
    # While nobody listens a connection is refused, or closed before anything is answered; what is begun is finished.
    allowed = {"whole", "refused", "no answer"}
    assert {end for end in outcome.tally.ends if end not in allowed and not end.startswith("503 ")} == set()
