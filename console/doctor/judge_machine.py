"""Judges the machine: Python, Node.js, packages, disk, open files, the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from console.doctor.facts import Clock, Folder, Machine
from console.doctor.findings import Finding, ok, problem, warning

OLDEST_PYTHON = (3, 11)
# No clock was right before this release was made.
RELEASED = datetime(2026, 11, 26, tzinfo=UTC)
# Seconds: what a clock may move while we look, what two clocks of one machine may differ.
STRAYED, APART = 1.0, 3.0
FULL, NEARLY_FULL = 100 * 2**20, 2**30
FEWEST_FILES = 1024
SHOWN = 5


def judge_machine(machine: Machine, node: Mapping[str, Any] | None) -> Iterator[Finding]:
    """`node` is what the launcher found, None where no gateway is started here."""
    version = ".".join(map(str, machine.python))
    if machine.python < OLDEST_PYTHON:
        yield problem(
            "python", f"Python {version} is too old.", f"Install Python 3.11 or newer, and run {machine.start}."
        )
    elif machine.optimised:
        yield ok("python", f"Python {version}.")
    else:
        yield ok("python", f"Python {version}, built without optimisations: one with them would use a fifth less CPU.")
    yield from _node(node)
    yield from _packages(machine)
    if node is not None:
        yield from _gateway(machine)
    yield _folder(machine.folder)
    yield _open_files(machine)
    yield from _clock(machine.clock)


def _node(node: Mapping[str, Any] | None) -> Iterator[Finding]:
    if node is None:
        return
    if "problem" in node:
        yield problem("node", str(node["problem"]), "Install Node.js, or run `make run` to get it as a Python package.")
    elif not node.get("version"):
        yield problem("node", f"{node['executable']} does not run.", "Install Node.js 20.3 or newer.")
    else:
        yield ok("node", f"Node.js {node['version']} ({node['executable']}).")


def _packages(machine: Machine) -> Iterator[Finding]:
    packages = machine.packages
    advice = f"Run {machine.start}: it installs what is locked."
    if packages.problem:
        yield problem("packages", packages.problem + ".", advice)
    elif packages.different:
        told = [f"{name} {found or 'is missing'} (locked: {wanted})" for name, wanted, found in packages.different]
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        yield problem("packages", f"Not as locked: {', '.join(told[:SHOWN])}{more}.", advice)
    else:
        locked = packages.locked
        yield ok(
            "packages",
            f"{locked} Python packages are as locked." if locked else "There is no lock to compare with.",
        )


def _gateway(machine: Machine) -> Iterator[Finding]:
    advice = f"Run {machine.start}: it installs the gateway."
    if machine.gateway == "missing":
        yield problem("gateway packages", "The open-source Portkey gateway is not installed.", advice)
    elif machine.gateway == "stale":
        yield warning("gateway packages", "The Portkey gateway is not as portkey/package-lock.json has it.", advice)
    else:
        yield ok("gateway packages", "The open-source Portkey gateway is as locked.")


def _folder(folder: Folder) -> Finding:
    advice = "Give the user who runs the router the right to write there, or name another place in ROUTER_LEDGER_URL."
    if folder.problem:
        return problem("disk", f"{folder.path} cannot be written to: {folder.problem}.", advice)
    left = f"{folder.free_bytes / 2**30:.1f} GB are free at {folder.path}"
    if folder.free_bytes < FULL:
        return problem("disk", f"Only {left}.", "Make room: the ledger cannot be written without.")
    if folder.free_bytes < NEARLY_FULL:
        return warning("disk", f"Only {left}.", "Make room, or set ROUTER_LEDGER_RETENTION_DAYS.")
    return ok("disk", f"{left}, and it can be written to.")


def _open_files(machine: Machine) -> Finding:
    limit, needed = machine.open_files, machine.needed_files
    advice = f"Raise the hard limit (ulimit -Hn {needed}), or lower EDGE_MAX_CONNECTIONS."
    if limit < FEWEST_FILES:
        return problem("open files", f"A process may have {limit} files open; the edge needs {needed}.", advice)
    if limit < needed:
        return warning(
            "open files", f"A process may have {limit} files open; all connections would need {needed}.", advice
        )
    return ok("open files", f"A process may have {limit if limit < 2**31 else 'any number of'} files open.")


def _clock(clock: Clock) -> Iterator[Finding]:
    advice = "Set the clock (timedatectl set-ntp true): budgets, certificates and pins rest on it."
    now = datetime.fromtimestamp(clock.now, UTC)
    wrong = []
    if now < RELEASED:
        wrong.append(f"The clock says {now:%Y-%m-%d}, before this release was made.")
    if abs(clock.strayed) > STRAYED:
        wrong.append(f"The clock jumped by {clock.strayed:+.1f} s while it was looked at.")
    wrong += [
        f"The clock of {who} is {abs(by):.0f} s {'ahead' if by > 0 else 'behind'}."
        for who, by in clock.others
        if abs(by) > APART
    ]
    if clock.future:
        wrong.append(f"{clock.future} was written later than now: the clock was set back.")
    for sentence in wrong:
        yield problem("clock", sentence, advice)
    if not wrong:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M} UTC, as far as this machine can tell.")
