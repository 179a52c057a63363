"""How many pods a load takes: arithmetic over what peers.json and scale.json measured, as deploy/kubernetes/README.md has it.

`python -m bench.capacity` prints it, `python -m bench.capacity --write` puts it between the page's marks.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import report
from bench.peers.table import markdown, shown

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "deploy" / "kubernetes" / "README.md"
SCALE = ROOT / "bench" / "results" / "scale.json"
BEGIN = "<!-- What `python -m bench.capacity` prints: begin -->"
END = "<!-- end -->"

RATES = (1_000, 10_000, 100_000)
# Of the core that a pod asks for; and no fewer pods than the autoscalers keep.
UTILISATION, LEAST = 0.6, 3
# What a longer answer is taken to be: events a stream, and how many of them a second.
EVENTS, EVENTS_A_SECOND = 200, 20
# Events of the comparison's load of streams at once.
BURST = 50
# What Not Diamond is asked at most, a second (ROUTER_NOT_DIAMOND_RATE).
NOT_DIAMOND = 10
# Connections that a router may have to PostgreSQL.
CONNECTIONS = 5
PROCESSES = ("edge", "router", "portkey")
# In which comparison each was alone, or edge and router together.
PACED = {"edge": "fresh", "router": "fresh", "portkey": "portkey"}
SHARED_OUT = " What conversations that go on cost was measured for both together, and is shared out as for new ones."
TITLES = {"edge": "the edge", "router": "the router", "portkey": "Portkey"}


@dataclass(frozen=True)
class Load:
    """A kind of request: CPU milliseconds that each process pays for one, and for how long it is under way."""

    title: str
    cpu_ms: Mapping[str, float]
    seconds: float = 0.0

    def first(self) -> str:
        """The process that is the first to have no time left."""
        return max(PROCESSES, key=lambda process: self.cpu_ms[process])


def loads(found: Mapping[str, Any]) -> list[Load]:
    """New conversations, conversations that go on, and long streams."""
    figures, rows = found["pinned"]["figures"], found.get("pace") or []
    # Portkey by itself: in a pod it has a core of its own.
    fresh = {process: _at_pace(rows, process, (PACED[process],)) for process in PROCESSES}
    if not rows:
        fresh = _without_pace(found)
    leased = {process: _at_pace(rows, process, ("leased",)) for process in ("edge", "router")}
    if None in leased.values():
        ratio = figures["leased"]["c16"]["cpu_ms"] / figures["fresh"]["c16"]["cpu_ms"]
        leased = {process: fresh[process] * ratio for process in leased}
    streamed = dict(fresh)
    for process, peer in (("edge", "fresh"), ("portkey", "portkey")):
        streamed[process] += EVENTS * figures[peer]["flow"]["event_us"] / 1000
    return [
        Load("new conversations, 2 kB", fresh),
        Load("conversations that go on, 2 kB", {**leased, "portkey": fresh["portkey"]}),
        Load(f"streams of {EVENTS} events, {EVENTS_A_SECOND} a second", streamed, EVENTS / EVENTS_A_SECOND),
    ]


def _at_pace(rows: Sequence[Mapping[str, Any]], process: str, peers: Sequence[str]) -> Any:
    """What a request costs a process at the measured pace at which it was busy most nearly for UTILISATION of its time."""
    told = [row for row in rows if row["peer"] in peers and f"{process}_ms" in row]
    if not told:
        return None
    busy = min(told, key=lambda row: abs(row["per_second"] * row[f"{process}_ms"] / 1000 - UTILISATION))
    return busy[f"{process}_ms"]


def _without_pace(found: Mapping[str, Any]) -> dict[str, float]:
    """Where no pace was measured: edge and router together, of which the router's is what a lone call costs it at most."""
    figures = found["pinned"]["figures"]
    router = next(row["router_cpu_ms_each"] for row in found["router"] if row.get("call") == "SelectModel")
    return {
        "edge": figures["fresh"]["c16"]["cpu_ms"] - router,
        "router": router,
        "portkey": figures["ours-portkey"]["c16"]["cpu_ms"] - figures["fresh"]["c16"]["cpu_ms"],
    }


def memory_mb(found: Mapping[str, Any]) -> dict[str, float]:
    """What a process holds under load."""
    figures, rows = found["pinned"]["figures"], found.get("pace") or []
    told = {name: [row[f"{name}_rss_mb"] for row in rows if f"{name}_rss_mb" in row] for name in PROCESSES}
    half = figures["fresh"]["c64"]["rss_mb"] / 2
    other = {"edge": half, "router": half, "portkey": figures["portkey"]["c64"]["rss_mb"]}
    return {name: max(told[name]) if told[name] else other[name] for name in PROCESSES}


def stream_kb(found: Mapping[str, Any]) -> dict[str, float]:
    """What an open stream holds in each process."""
    figures = found["pinned"]["figures"]
    return {
        "edge": figures["fresh"]["open"]["stream_kb"],
        "router": 0.0,
        "portkey": figures["portkey"]["open"]["stream_kb"],
    }


def pods(rate: float, cpu_ms: float) -> int:
    """How many of one core each."""
    return max(LEAST, math.ceil(rate * cpu_ms / 1000 / UTILISATION))


def page(found: Mapping[str, Any], scaled: Mapping[str, Any] | None) -> str:
    """The note."""
    return "\n\n".join(_parts(found, scaled))


def _parts(found: Mapping[str, Any], scaled: Mapping[str, Any] | None) -> Iterator[str]:
    kinds, memory, kept = loads(found), memory_mb(found), stream_kb(found)
    paced = "on one core together at the pace nearest to that use" if found.get("pace") else "measured together alone"
    yield (
        f"From [peers.json](../../bench/results/peers.json) of {found['date']} ({found['machine']['cores']} cores, Python "
        f"{found['machine']['python']}; edge and router {paced}): a pod is one process and asks for one core, of which "
        f"{UTILISATION:.0%} is used; no fewer than {LEAST} pods of each. vCPU is what the pods ask for, memory what the "
        "processes hold. Portkey is the open-source gateway; with the hosted one its column falls away."
        + ("" if any(row["peer"] == "leased" for row in found.get("pace") or ()) else SHARED_OUT)
    )
    yield markdown([["a request costs, ms of CPU", *TITLES.values(), "first to have no time left"], *map(_cost, kinds)])
    heading = ["", "requests/s", "edge pods", "router pods", "Portkey pods", "vCPU", "GB"]
    yield markdown([heading, *(_row(kind, rate, memory, kept) for kind in kinds for rate in RATES)])
    yield _together(found)
    yield _shared(kinds[0], scaled)


def _together(found: Mapping[str, Any]) -> str:
    """What the streams' figures rest on."""
    figures = found["pinned"]["figures"]
    apart, burst = figures["fresh"]["flow"]["event_us"], figures["fresh"]["burst"]["cpu_ms"]
    joined = (burst - figures["fresh"]["c16"]["cpu_ms"]) * 1000 / BURST
    return (
        f"An event that comes by itself costs the edge {shown(apart)} µs, one of a burst {shown(joined)} µs: a provider that "
        "sends its events in larger pieces needs so many fewer pods."
    )


def _cost(kind: Load) -> list[str]:
    return [kind.title, *(shown(kind.cpu_ms[name]) for name in PROCESSES), TITLES[kind.first()]]


def _row(kind: Load, rate: int, memory: Mapping[str, float], kept: Mapping[str, float]) -> list[str]:
    count = {name: pods(rate, kind.cpu_ms[name]) for name in PROCESSES}
    held = sum(count[name] * memory[name] + rate * kind.seconds * kept[name] / 1000 for name in PROCESSES)
    return [
        kind.title,
        f"{rate:,}",
        *(f"{count[name]:,}" for name in PROCESSES),
        f"{sum(count.values()):,}",
        shown(held / 1000),
    ]


def _shared(kind: Load, scaled: Mapping[str, Any] | None) -> str:
    """What pods do not help: what all of them share."""
    lines = ["What more pods do not help, for new conversations:", ""]
    each = (scaled or {}).get("per_request")
    if each:
        commands, rows = each["redis_commands"], each["ledger_rows"]
        taken = (f"{commands * rate:,.0f} and {rows * rate:,.0f} a second at {rate:,}" for rate in RATES)
        lines.append(
            f"- Redis and PostgreSQL are one each. A request took {shown(commands)} commands of Redis, those inside of scripts "
            f"counted, and {shown(rows)} rows of the ledger ([scale.json](../../bench/results/scale.json)): {', '.join(taken)}."
            " How many of these yours take has to be measured there."
        )
    edges = {rate: pods(rate, kind.cpu_ms["edge"]) for rate in RATES}
    routers = {rate: pods(rate, kind.cpu_ms["router"]) for rate in RATES}
    lines.append(
        f"- A router has up to {CONNECTIONS} connections to PostgreSQL: "
        + ", ".join(f"{CONNECTIONS * routers[rate]:,} at {rate:,}" for rate in RATES)
        + "; its own bound is 100 as shipped, so a pooler comes first."
    )
    lines.append(
        "- Every edge is connected to every router, and pings it each second: "
        + ", ".join(f"{edges[rate] * routers[rate]:,} connections at {rate:,}" for rate in RATES)
        + ". From there on several such systems side by side, each with its own Redis and ledger, and a balancer that sends "
        "a key to one of them, are what to build."
    )
    lines.append(
        f"- Not Diamond is asked {NOT_DIAMOND} times a second by all routers together: of {RATES[0]:,} requests a second "
        f"that is {NOT_DIAMOND / RATES[0]:.0%} at most; the local policy decides the others."
    )
    return "\n".join(lines)


def committed() -> str:
    """What stands between the page's marks."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()


def main() -> int:
    """Print the note, or write it."""
    scaled = json.loads(SCALE.read_text()) if SCALE.exists() else None
    note = page(report.read(), scaled)
    print(note)
    if "--write" in sys.argv[1:]:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{note}\n{END}{rest.partition(END)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
