"""Where processes run and what they use: the cores they are kept on, the CPU time and memory of a whole tree of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load.machine import resident_mb

# clock_getcpuclockid(3): the clock of another process, in nanoseconds where /proc counts in hundredths of a second.
_PROCESS_CLOCK = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The cores of what is measured, and of the load and the mock; none: wherever the system puts them."""

    name: str
    tested: frozenset[int] | None
    load: frozenset[int] | None


def pinned() -> Layout:
    """What is measured on the first core, the load and the mock on the second."""
    cores = sorted(os.sched_getaffinity(0))
    return Layout("pinned", frozenset(cores[:1]), frozenset(cores[1:2] or cores[:1]))


FREE = Layout("free", None, None)


@contextlib.contextmanager
def kept_on(cores: frozenset[int] | None) -> Iterator[None]:
    """What is started within stays on these cores: children inherit them."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tree(roots: Iterable[int]) -> list[int]:
    """These processes and all that descend from them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes so far; OSError when one is gone."""
    return sum(time.clock_gettime((~pid << 3) | _PROCESS_CLOCK) for pid in pids)


def rss_mb(pids: Sequence[int]) -> float:
    """Memory that they hold, in millions of bytes."""
    return sum(map(resident_mb, pids))
