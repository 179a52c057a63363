"""S1: half an hour with the edge at a third of a core, clients that leave, faults and a router that restarts: what leaks shows.

`python -m bench.load.soak`; MINUTES=30 by default. What is shorter is written to bench/results/local/.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from multiprocessing.pool import AsyncResult
from typing import Any

from bench.load.arithmetic import slope
from bench.load.generator import Mix, mixed
from bench.load.house import House, house, idle, start_router_here
from bench.load.machine import held, progress
from bench.load.report import Figure, table, write

SHARE = 0.3
# Requests a second, and for how many seconds, by which it is found what one costs.
TRIED_AT, TRIED_FOR = 20.0, 15.0
# Minutes between two restarts of one of the routers, and until memory is expected to stay.
RESTART_EVERY, SETTLED = 2.0, 5.0
STAINS = re.compile(r"Task was destroyed|never retrieved|Unclosed|Traceback")


def main() -> int:
    """Soak, print and write; 1 when a bound did not hold."""
    minutes = float(os.environ.get("MINUTES") or 30)
    signal.signal(signal.SIGALRM, _overdue)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(int(minutes * 60 + 300))
    figure = Figure(
        "S1",
        f"{minutes:g} minutes with the edge at {SHARE:.0%} of a core, 5% aborts, 2% faults, a router restarted every 2 minutes",
    )
    with progress(figure.title):
        _soak(figure, minutes)
    print(table([figure]))
    print(f"written: {write('soak', [figure], {'minutes': minutes}, whole=minutes >= 30)}")
    return 0 if figure.held else 1


def _soak(figure: Figure, minutes: float) -> None:
    mix = Mix()
    # Two routers: one is restarted, the other shows what becomes of one that is not.
    with house(1, routers=2) as here:
        cost = _cost(here, mix)
        rate = SHARE / cost
        base = _rested(here)
        restarts: list[str] = []
        with here.watch() as watch:
            sending = here.generators.apply_async(mixed, (here.port, mix, rate, minutes * 60, "m"))
            samples = _sampled(here, sending, minutes, restarts)
            counts = sending.get(180)
        idle(here, 60)
        after = _rested(here, base)
        texts = {
            "edge": here.edge.text(),
            **{f"router {port}": r.text() for port, r in zip(here.router_ports, here.routers, strict=True)},
        }
        texts |= {f"router before restart {number}": text for number, text in enumerate(restarts, 1)}
    figure.machine = watch.told
    _judge(figure, counts, samples, minutes)
    for name in ("edge", "router"):
        for what in ("fds", "sockets", "threads"):
            figure.at_most(
                f"{name}: {what} after, beyond before",
                after[name][what] - base[name][what],
                5 if what != "threads" else 2,
            )
    stains = {name: sorted(set(STAINS.findall(text))) for name, text in texts.items() if STAINS.search(text)}
    figure.at_most("lines in logs that tell of a mistake", sum(len(STAINS.findall(text)) for text in texts.values()), 0)
    figure.seen = {
        "edge_cpu_ms_each": round(1000 * cost, 2),
        "rate_per_s": round(rate, 1),
        **counts,
        "restarts": len(restarts),
        "stains": stains,
        "before": base,
        "after": after,
        "samples": samples,
    }


def _cost(here: House, mix: Mix) -> float:
    """Seconds of the edge's core that a request of the mix takes: its streams cost more than the plain ones of a peak."""
    here.generators.apply(mixed, (here.port, mix, TRIED_AT, 5.0, "warm"))
    with here.watch() as watch:
        here.generators.apply(mixed, (here.port, mix, TRIED_AT, TRIED_FOR, "tried"))
    return watch.cpu("edge") / 100 / TRIED_AT


def _judge(figure: Figure, counts: dict[str, int], samples: list[dict[str, Any]], minutes: float) -> None:
    share = 100 / counts["sent"]
    figure.at_most("errors, of requests", share * counts["failed"], share * counts["injected"], "%")
    figure.at_most("errors where no fault was made", counts["failed_beyond"], 0)
    figure.at_least("requests sent at their rate", counts["sent"], 1)
    settled = SETTLED if minutes >= 2 * SETTLED else minutes / 2
    for name in ("edge", "router"):
        # Its own memory: pages of libraries come and go with what else the machine does.
        points = [(sample["minute"], sample[name]["private_mb"]) for sample in samples if sample["minute"] >= settled]
        grown = 10 * slope(points)
        if minutes >= 2 * SETTLED:
            figure.at_most(f"{name}: its own memory after {settled:g} minutes", grown, 1, "MB/10 min")
        else:
            figure.missing(
                f"{name}: its own memory after {settled:g} minutes",
                "<= 1 MB/10 min",
                f"{grown:.3g} MB/10 min, too short to tell",
            )


def _sampled(
    here: House, sending: AsyncResult[dict[str, int]], minutes: float, restarts: list[str]
) -> list[dict[str, Any]]:
    """A look at both services each minute (each sixth of a short soak), and the restarts, until all is sent."""
    started, samples = time.monotonic(), []
    step = min(1.0, minutes / 12)
    look, restart = step, RESTART_EVERY if minutes > RESTART_EVERY else minutes / 2
    while not sending.ready() and time.monotonic() < started + minutes * 60 + 120:
        sending.wait(0.2)
        minute = (time.monotonic() - started) / 60
        if minute >= look:
            samples.append({"minute": round(minute, 2), **_look(here)})
            _say(samples[-1])
            look += step
        if restart <= minute < minutes - step / 2:
            _restart(here, restarts)
            restart += RESTART_EVERY
    return samples


def _restart(here: House, restarts: list[str]) -> None:
    """The first router goes and comes again, on its port and its ledger; what it logged is kept."""
    here.routers[0].stop()
    restarts.append(here.routers[0].text())
    here.routers[0] = start_router_here(here.router_ports[0], here.folder / "router.toml", here.folder)


def _look(here: House) -> dict[str, dict[str, float]]:
    return {"edge": held(here.edge.popen.pid), "router": held(here.routers[1].popen.pid)}


def _rested(here: House, base: dict[str, dict[str, float]] | None = None) -> dict[str, dict[str, float]]:
    """What is held once idle connections have had their time; up to half a minute, or as soon as it is no more than before."""
    end = time.monotonic() + (30 if base else 8)
    while True:
        looked = _look(here)
        back = base is not None and all(
            looked[name][what] <= base[name][what] for name in looked for what in ("fds", "sockets", "threads")
        )
        if back or time.monotonic() > end:
            return looked
        time.sleep(0.5)


def _say(sample: dict[str, Any]) -> None:
    edge, router = sample["edge"], sample["router"]
    told = [
        f"{name} {held['private_mb']} of {held['rss_mb']} MB, {held['fds']:.0f} fds, {held['threads']:.0f} threads"
        for name, held in (("edge", edge), ("router", router))
    ]
    sys.stderr.write(f"    minute {sample['minute']:4.1f}: {'; '.join(told)}\n")
    sys.stderr.flush()


def _overdue(*_: object) -> None:
    raise TimeoutError("the soak took far longer than it was to")


if __name__ == "__main__":
    sys.exit(main())
