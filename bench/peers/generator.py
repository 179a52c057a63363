"""Runs the mock and the load generator, and looks at the peer meanwhile."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers.loads import Load
from bench.peers.native import built
from bench.peers.placement import kept_on
from tests.processes import Process

LOOK_MS = 250


@dataclass(frozen=True, slots=True)
class Look:
    """A moment of a run: streams open and events heard so far, the peer's CPU seconds so far and its memory."""

    open: int
    events: int
    cpu: float
    rss_mb: float


def start_mock(port: int, cores: frozenset[int] | None = None) -> Process:
    """The provider behind all peers."""
    with kept_on(cores):
        process = Process([str(built("mock")), str(port)], {}, "mock")
    return process.ready_when(lambda: accepts(port))


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(
    load: Load,
    ports: Sequence[int],
    requests: Sequence[Path],
    first: int,
    cores: frozenset[int] | None = None,
    look: Callable[[], tuple[float, float]] | None = None,
) -> tuple[dict[str, Any], list[Look]]:
    """One run, with requests numbered from `first`: what the generator counted, and the looks at the peer.

    `look` tells CPU seconds and memory; it is called four times a second.
    """
    argv = [str(built("load")), "--ports", ",".join(map(str, ports)), "--request", ",".join(map(str, requests))]
    argv += ["--connections", str(load.connections), "--seconds", str(load.seconds), "--first", str(first)]
    argv += ["--think-ms", str(load.think_ms), "--events", str(load.reply.events), "--ramp-ms", str(load.ramp_ms)]
    argv += ["--patience", str(load.patience), "--opening", str(load.opening), *(["--once"] if load.once else [])]
    if look is not None:
        argv += ["--report-ms", str(LOOK_MS)]
    looks = []
    with kept_on(cores):
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if look is not None:
                opened, events = map(int, line.split())
                looks.append(Look(opened, events, *look()))
        told = process.stdout.read()
    if process.returncode != 0:
        raise RuntimeError(f"the load generator ended with {process.returncode}: {' '.join(argv)}")
    counted: dict[str, Any] = json.loads(told)
    return counted, looks
