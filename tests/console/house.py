"""The whole system as `up` starts it, on ports of its own, with a profile of the user's own, and what commands are told."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import PATIENT_EDGE, QUIET_ROUTER, Process, free_port

LISTENS = ("EDGE_LISTEN", "ROUTER_LISTEN", "PORTKEY_LISTEN", "DEMO_LISTEN")
OWN_PROFILE = """
[profiles.thrifty]
description = "Whatever is cheap."
candidates = ["demo/small", "demo/medium"]
cost_quality_tradeoff = 8
not_diamond = false
"""


@dataclass(frozen=True)
class House:
    """The running system, and the settings that it was started with."""

    settings: dict[str, str]
    process: Process

    @property
    def router(self) -> str:
        return self.settings["ROUTER_LISTEN"]

    @property
    def edge(self) -> str:
        return f"http://{self.settings['EDGE_LISTEN']}"


def program(folder: Path, name: str, says: str) -> Path:
    """A program that says one thing, whatever it is asked."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """The system, started by `up` and ended by Ctrl-C."""
    own = folder / "own.toml"
    own.write_text(OWN_PROFILE)
    (folder / "home").mkdir()
    settings = {
        **{name: f"127.0.0.1:{free_port()}" for name in LISTENS},
        "OLLAMA_HOST": f"127.0.0.1:{free_port()}",
        "ROUTER_CONFIG": str(own),
        **QUIET_ROUTER,
        **PATIENT_EDGE,
        "ROUTER_LEDGER_URL": f"sqlite:///{folder / 'var' / 'router.sqlite'}",
        "DEMO_PACE": "0",
        "PORTKEY_WORKERS": "1",
    }
    process = Process([sys.executable, "-m", "console", "--env-file", "/dev/null", "up"], settings, "up")
    try:
        process.ready_when(lambda: "Ctrl-C stops everything." in process.text())
        # What the doctor finds beside the settings: an Aider that answers at once, and a home without configuration.
        aider = program(folder, "aider", "aider 0.86.2")
        yield House({**settings, "AIDER": str(aider), "HOME": str(folder / "home")}, process)
    finally:
        assert process.stop(signal.SIGINT) == 0, process.text()
