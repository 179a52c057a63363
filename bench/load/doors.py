"""L7 and L9: connections that come and go, and how soon and how small the services are there."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

import yaml

from bench.load.generator import at_rate, churn
from bench.load.house import house
from bench.load.machine import resident_mb
from bench.load.prompts import Ask
from bench.load.report import Figure
from tests.processes import ROOT, SHIPPED_EDGE, SHIPPED_ROUTER, Process, free_port, start_edge, start_router, wait_until

RATE = 1000.0
STARTS = 3


def comings_and_goings(figure: Figure, seconds: Callable[[float], float]) -> None:
    """A third of the connections closes at once, a third resets, a third asks and leaves."""
    long = seconds(30)
    with house(1) as here:
        here.generators.apply(at_rate, (here.port, Ask(2_000), 20.0, 2.0, "warm"))
        wait_until(lambda: _steady(here.edge_holds), "the edge at rest", 30)
        before = here.edge_holds()
        with here.watch() as watch:
            made = here.generators.apply_async(churn, (here.port, RATE, long)).get(long * 3 + 60)
        after = _at_rest(here.edge_holds, before["fds"] + 5, 15.0)
    figure.machine = watch.told
    figure.at_least("connects", made["per_second"], 0.95 * RATE, "/s")
    figure.at_most("connects that failed", made["failed"], 0)
    figure.at_least("of those that ask, answered", made["answered"], made["asked"])
    figure.at_most("file descriptors that stayed", abs(after["fds"] - before["fds"]), 5)
    figure.seen = {**made, "before": before, "after": after}


def beginnings(figure: Figure, seconds: Callable[[float], float]) -> None:
    """Each service alone, started thrice, and left alone for two seconds; images where there is an engine."""
    took: dict[str, list[float]] = {"edge": [], "router": []}
    rss: dict[str, list[float]] = {"edge": [], "router": []}
    for _ in range(STARTS):
        port = free_port()
        router = _timed(took["router"], lambda port=port: start_router(port, **SHIPPED_ROUTER))
        edge = None
        try:
            edge = _timed(
                took["edge"],
                lambda port=port: start_edge(free_port(), EDGE_ROUTER=f"dns:///127.0.0.1:{port}", **SHIPPED_EDGE),
            )
            time.sleep(2)  # what is idle has had its time to settle
            rss["router"].append(resident_mb(router.popen.pid))
            rss["edge"].append(resident_mb(edge.popen.pid))
        finally:
            router.stop()
            if edge is not None:
                edge.stop()
    for name, bound in (("edge", 90), ("router", 80)):
        figure.at_most(f"{name}: start to ready", max(took[name]), 3, "s")
        figure.at_most(f"{name}: memory idle", max(rss[name]), bound, "MB")
    sizes = _image_sizes()
    for name in ("edge", "router"):
        if name in sizes:
            figure.at_most(f"{name}: image", sizes[name], 250, "MB")
        else:
            figure.missing(f"{name}: image", "<= 250 MB", "not measured here")
    figure.seen = {"start_s": took, "rss_mb": rss}


def _timed(into: list[float], start: Callable[[], Process]) -> Process:
    started = time.monotonic()
    process = start()
    into.append(round(time.monotonic() - started, 2))
    return process


def _image_sizes() -> dict[str, float]:
    """Megabytes of the images that Compose has built here; none without an engine."""
    sizes = {}
    project = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["name"]
    for name in ("edge", "router"):
        image = f"{project}-{name}"
        try:
            done = subprocess.run(  # noqa: S603
                ["docker", "image", "inspect", image],  # noqa: S607
                capture_output=True,
                check=True,
                timeout=20,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        sizes[name] = json.loads(done.stdout)[0]["Size"] / 1e6
    return sizes


def _at_rest(look: Callable[[], dict[str, float]], fds: float, seconds: float) -> dict[str, float]:
    """What is held once no more than so many descriptors are open, or when the time is over."""
    end = time.monotonic() + seconds
    while (holds := look())["fds"] > fds and time.monotonic() < end:
        time.sleep(0.2)
    return holds


def _steady(look: Callable[[], dict[str, float]]) -> bool:
    first = look()["fds"]
    time.sleep(1)
    return look()["fds"] == first
