"""What a process holds: resident memory and open files, as Linux tells them under /proc."""

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Footprint:
    """Resident bytes (VmRSS), and open file descriptors."""

    resident: int
    files: int


def footprint(pid: int) -> Footprint:
    """Of a process, now."""
    return Footprint(_status(pid, "VmRSS"), len(os.listdir(f"/proc/{pid}/fd")))


def peak_bytes(pid: int) -> int:
    """The most that was ever resident."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, f"no {name} of {pid}"
    return int(found[1]) * 1024
