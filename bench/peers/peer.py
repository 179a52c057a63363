"""What a peer is to the measurement: how it is started, how it is asked, and which processes are its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.bodies import body, raw
from bench.peers.loads import TURNS, Load
from tests.processes import ROOT, Process

PATH = "/v1/chat/completions"


class Absent(Exception):
    """The peer cannot be had on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer finds its upstream and puts its files; `stack` stops what it has started."""

    mock_port: int
    folder: Path
    stack: ExitStack
    mock_pid: int = 0

    @property
    def provider(self) -> str:
        """The mock's base URL."""
        return f"http://127.0.0.1:{self.mock_port}/v1"

    def keep(self, process: Process) -> Process:
        """It is stopped at the end."""
        self.stack.callback(process.stop)
        return process


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that serves.

    `goes_on`: its requests are of conversations that go on. `expects`: response headers that its answers must have. `lost`:
    what it has not kept though it was to, empty while it has.
    """

    version: str
    ports: Sequence[int]
    pids: Sequence[int]
    model: str = "up"
    path: str = PATH
    headers: Mapping[str, str] = field(default_factory=dict)
    goes_on: bool = False
    expects: Mapping[str, str] = field(default_factory=dict)
    lost: Callable[[], str] = lambda: ""

    def requests(self, load: Load) -> list[bytes]:
        """What the generator sends it, in turn."""
        turns = TURNS if self.goes_on else (0,)
        return [raw(self.path, self.headers, body(self.model, load.size, load.reply, turn)) for turn in turns]


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer by its short name; `needs` installs what it needs, and raises Absent where that cannot be had."""

    name: str
    title: str
    start: Callable[[Place], Running]
    needs: Callable[[], object] = lambda: None


def locked(lock: str, package: str) -> str:
    """The version that a lock holds."""
    found = re.search(rf"^{re.escape(package)}(?:\[[^]]*\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return found[1] if found else "?"
