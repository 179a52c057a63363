"""Looks at the machine: packages against their locks, the folder that is written to, open files, the clock."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import sys
import sysconfig
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Literal

from console.doctor.facts import Clock, Folder, Machine, Packages
from console.home import ROOT, SHIPPED, START

LOCK = SHIPPED / "requirements" / "run.txt"
PORTKEY = ROOT / "portkey"
GATEWAY = PORTKEY / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
STAMP = PORTKEY / "node_modules" / ".bootstrap.stamp"
SQLITE = re.compile(r"sqlite(\+\w+)?:///(?P<path>[^?]*)")
# Sockets, files and a little more beside the connections, each of which has one to the client and one to the gateway.
BESIDE, EACH = 200, 2
# Files of a running system, by which a clock that was set back is known.
WRITTEN = ("var/router.sqlite", "var/router.sqlite-wal")


def look_at_machine(ledger_url: str, max_connections: int, clock: Clock) -> Machine:
    """The machine's facts; `clock` is what has been measured of it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        tuple(sys.version_info[:3]),
        is_optimised(),
        compare_packages(LOCK),
        _gateway(),
        _folder(ledger_url),
        clock,
        sys.maxsize if most == resource.RLIM_INFINITY else most,
        EACH * max_connections + BESIDE,
        START,
    )


def is_optimised() -> bool:
    """Whether Python was built with optimisations, as scripts/bootstrap.sh judges those that it may choose from."""
    told = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return sys.base_prefix == "/usr" or "--enable-optimizations" in told


def compare_packages(lock: Path) -> Packages:
    """The installed packages against a lock; those for other machines count only where they are installed."""
    try:
        lines = re.findall(
            r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)([^\n]*)", lock.read_text(encoding="utf-8"), re.M
        )
    except FileNotFoundError:
        # There is nothing to compare with.
        return Packages(0)
    except OSError as error:
        return Packages(0, problem=f"{lock.name} cannot be read: {error.strerror}")
    different = []
    for name, version, rest in lines:
        found = _installed(name)
        if found != version and (found or ";" not in rest):
            different.append((name, version, found))
    return Packages(len(lines), tuple(different))


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _gateway() -> Literal["as locked", "stale", "missing"]:
    """Whether the gateway's packages are those that this release would install."""
    if not GATEWAY.is_file():
        return "missing"
    try:
        wanted = hashlib.sha256(
            b"".join((SHIPPED / "portkey" / name).read_bytes() for name in ("package.json", "package-lock.json"))
        )
        return "as locked" if STAMP.read_text(encoding="utf-8").strip() == wanted.hexdigest() else "stale"
    except OSError:
        return "stale"


def _folder(ledger_url: str) -> Folder:
    """The folder of the ledger, or var/ where there is none of a file: one that is missing is made by whoever writes first."""
    named = SQLITE.fullmatch(ledger_url)
    folder = ROOT / (Path(named["path"]).parent if named and named["path"] else Path("var"))
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            return Folder(str(folder), f"{there} is no folder")
        with tempfile.TemporaryFile(dir=there):
            pass
        return Folder(str(folder), free_bytes=shutil.disk_usage(there).free)
    except OSError as error:
        return Folder(str(folder), f"{error.strerror}")


class Watchmaker:
    """Measures the clock from its making on."""

    def __init__(self) -> None:
        self._wall, self._steady = time.time(), time.monotonic()

    def measured(self, others: tuple[tuple[str, float], ...]) -> Clock:
        """What the clock did since, beside what others' clocks say."""
        now = time.time()
        strayed = (now - self._wall) - (time.monotonic() - self._steady)
        return Clock(now, strayed, others, _future(now))


def _future(now: float) -> str:
    """A file that a service wrote later than now; a minute is let pass, for file servers have clocks of their own."""
    minute = 60
    for name in WRITTEN:
        path = ROOT / name
        try:
            if os.stat(path).st_mtime > now + minute:
                return name
        except OSError:
            continue
    return ""
