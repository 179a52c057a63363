"""Runs the console as its user does: a process of its own, with a clean environment."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it printed, on one line."""
        return " ".join((self.out + self.err).split())


def console(*arguments: str | Path, answers: str = "", **env: str) -> Ran:
    """`python -m console`; no .env of this machine is read."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ran = subprocess.run(
        [sys.executable, "-m", "console", "--env-file", os.devnull, *map(str, arguments)],
        check=False,
        cwd=ROOT,
        env={**clean, **env},
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)
