"""What was seen of the machine and the system, as values: the findings rest on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Held = Literal["free", "ours", "stranger", "no address"]


@dataclass(frozen=True, slots=True)
class Packages:
    """How the installed packages compare with the lock: name, locked version, and the one installed (empty: none)."""

    locked: int
    different: tuple[tuple[str, str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """An address that a service listens on, and who holds it."""

    variable: str
    used_by: str
    place: str
    held: Held
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is written to: whether that works, and the bytes left in it."""

    path: str
    problem: str = ""
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock: now (seconds since the epoch), how far it strayed while we looked, and others' clocks of this machine.

    `others`: who, and how many seconds their clock is ahead of ours. `future`: a file of ours from later than now.
    """

    now: float
    strayed: float = 0.0
    others: tuple[tuple[str, float], ...] = ()
    future: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """A Redis or a PostgreSQL that a variable names; `problem` is empty when it answers."""

    variable: str
    kind: str
    place: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """What the edge said; `ready` is None when nothing that is an edge answered there."""

    address: str
    answers: bool = False
    ready: Mapping[str, Any] | None = None
    models_status: int = 0
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """The Portkey gateway at an address; `status` is 0 when nothing answered, `hosted` when it is Portkey's own service."""

    address: str
    status: int = 0
    hosted: bool = False
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Aider:
    """The Aider that would be started, and the configurations of it that were found with the address each names."""

    program: str = ""
    version: tuple[int, ...] | None = None
    configurations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and what is installed on it; a process may have `open_files`, the edge needs `needed_files`.

    `optimised`: whether Python was built so, as far as it tells. `start`: what installs what is missing, and starts the system.
    """

    python: tuple[int, ...]
    optimised: bool
    packages: Packages
    gateway: Literal["as locked", "stale", "missing"]
    folder: Folder
    clock: Clock
    open_files: int
    needed_files: int
    start: str = "`make run`"


@dataclass(frozen=True, slots=True)
class Keys:
    """Variables that hold keys: what is wrong with the form of each that is set (empty: nothing), and what Not Diamond said."""

    forms: Mapping[str, str] = field(default_factory=dict)
    not_diamond_form: str | None = None
    not_diamond_online: str | None = None
