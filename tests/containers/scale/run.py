"""One run from build to end: what was sent, who answered, and what the stores hold of it."""

import os
import tempfile
import time
from collections.abc import Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.containers import engine
from tests.containers.scale import changes, table
from tests.containers.scale.load import Load
from tests.containers.scale.stack import Stack

# Requests a second; fewer for a machine that has other work.
RATE = float(os.environ.get("RATE") or 10)
# Sooner than as shipped (30 s), so that a run takes minutes.
CONNECTION_AGE = 4
# Seconds of load without any change, in which it is counted what a request costs the stores.
COUNTED = 10.0
# Seconds within which the last decisions are written, and between two looks whether they are.
PATIENCE, LOOK = 10.0, 0.5
# Slower than the demo models are, so that streams are under way when something is changed.
SETTINGS = {"ROUTER_MAX_CONNECTION_AGE_SECONDS": str(CONNECTION_AGE), "DEMO_PACE": "4"}


def run(say: Any = print) -> dict[str, Any]:
    """The result; NoEngine where there is none to run it."""
    env = engine.environment()
    with tempfile.TemporaryDirectory() as logs:
        stack = Stack(env, Path(logs), **SETTINGS)
        started = time.monotonic()
        try:
            stack.compose("build", "--quiet")
            say(f"built in {time.monotonic() - started:.0f} s")
            stack.up(router=3, edge=2)
            found = _measure(stack)
        finally:
            with suppress(AssertionError):
                stack.down()
    say(f"{found['requests']} requests, {found['errors']} errors, {time.monotonic() - started:.0f} s in all")
    return found


def _measure(stack: Stack) -> dict[str, Any]:
    load = Load(stack.port, RATE)
    with load.running():
        each = _each(stack, load)
        windows = changes.make_all(stack, load)
    decided = {one.decision for one in load.sent if one.source not in ("", "edge_default")}
    kept = _written(stack, decided)
    routers = {line["decision_id"]: number for number, line in stack.events("router", "decided")}
    edges = {line["decision_id"]: number for number, line in stack.events("edge", "completion")}
    return {
        "rate": RATE,
        "load_average": round(os.getloadavg()[0], 1),
        "connection_age_seconds": CONNECTION_AGE,
        "requests": len(load.sent),
        "streams": "every second one",
        "errors": sum(bool(one.problem) for one in load.sent),
        "default_order": sum(one.source == "edge_default" for one in load.sent),
        "decided": len(decided),
        "not_in_the_ledger": len(decided - kept),
        "per_request": each,
        "rows": table.rows(windows, load.sent, routers, edges),
    }


def _written(stack: Stack, decided: Set[str]) -> set[str]:
    """The decisions in the ledger, once all are there; what a killed router had not written is waited for in vain."""
    end = time.monotonic() + PATIENCE
    while decided - (kept := set(stack.select("SELECT id FROM decisions"))) and time.monotonic() < end:
        time.sleep(LOOK)
    return kept


def _each(stack: Stack, load: Load) -> Mapping[str, float]:
    """What a request costs the stores, on the mean of some seconds."""
    time.sleep(3)
    before, sent = (stack.redis_commands(), _rows(stack)), len(load.sent)
    time.sleep(COUNTED)
    after, sent = (stack.redis_commands(), _rows(stack)), len(load.sent) - sent
    commands, rows = ((then - now) / sent for now, then in zip(before, after, strict=True))
    return {"redis_commands": round(commands, 1), "ledger_rows": round(rows, 1)}


def _rows(stack: Stack) -> int:
    counts = stack.select("SELECT count(*) FROM decisions UNION ALL SELECT count(*) FROM reports")
    return sum(map(int, counts))
