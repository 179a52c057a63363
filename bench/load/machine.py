"""What processes use, and what else the machine was doing meanwhile, read from /proc."""

import contextlib
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from console.doctor.machine import is_optimised

TICKS = os.sysconf("SC_CLK_TCK")
# Of /proc/stat's first line: user, nice, system, idle, iowait, irq, softirq, steal.
_BUSY, _STEAL = (0, 1, 2, 5, 6), 7


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in millions of bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def private_mb(pid: int) -> float:
    """What of that is the process's own, and no page of a file; in millions of bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e6


def held(pid: int) -> dict[str, float]:
    """What a process holds now: memory and its own of it, file descriptors, sockets among them, threads."""
    kinds = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            kinds.append(os.readlink(entry))
    return {
        "rss_mb": round(resident_mb(pid), 1),
        "private_mb": round(private_mb(pid), 1),
        "fds": len(kinds),
        "sockets": sum(kind.startswith("socket:") for kind in kinds),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


def about() -> dict[str, Any]:
    """The machine and the versions that matter."""
    packages = ("grpcio", "aiohttp", "fastapi", "uvicorn", "uvloop", "httptools")
    return {
        "cores": os.cpu_count(),
        "platform": platform.machine(),
        "python": sys.version.split()[0],
        "python_optimised": is_optimised(),
        **{name: version(name) for name in packages},
    }


class Watch:
    """What the named processes and the rest of the machine did while something was measured."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = dict(processes)
        self.told: dict[str, Any] = {}

    def __enter__(self) -> "Watch":
        self._generators = [child.pid or 0 for child in multiprocessing.active_children()]
        self._load = os.getloadavg()[0]
        self._started, self._before = time.monotonic(), self._counted()
        self._stat = _stat()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = max(time.monotonic() - self._started, 1e-3)
        after, stat = self._counted(), _stat()
        used = {name: after[name] - self._before[name] for name in after}
        cores = os.cpu_count() or 1
        busy = (sum(stat[i] for i in _BUSY) - sum(self._stat[i] for i in _BUSY)) / TICKS
        self.told = {
            "seconds": round(seconds, 1),
            "load_average": [round(self._load, 2), round(os.getloadavg()[0], 2)],
            "steal_percent": round(100 * (stat[_STEAL] - self._stat[_STEAL]) / TICKS / seconds / cores, 1),
            # Of one core each.
            "cpu_percent": {name: round(100 * cpu / seconds, 1) for name, cpu in used.items()},
            "other_cpu_percent": round(100 * max(0.0, busy - sum(used.values())) / seconds, 1),
        }

    def cpu(self, name: str) -> float:
        """Per cent of one core."""
        return float(self.told["cpu_percent"][name])

    def _counted(self) -> dict[str, float]:
        counted = {name: cpu_seconds(pid) for name, pid in self._processes.items()}
        counted["generator"] = sum(map(cpu_seconds, self._generators))
        counted["bench"] = cpu_seconds(os.getpid())
        return counted


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """Say on standard error what is going on, and how long it took."""
    started = time.monotonic()
    sys.stderr.write(f"  {what} ...\n")
    sys.stderr.flush()
    yield
    sys.stderr.write(f"  {what}: {time.monotonic() - started:.0f} s\n")
    sys.stderr.flush()


def _stat() -> list[int]:
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
