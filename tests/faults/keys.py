"""Makes clients' keys with the command that users have."""

import subprocess
import sys
from pathlib import Path

from tests.processes import NEVER, ROOT


def make_key(file: Path, *options: str) -> str:
    """A new key of alice's in this file."""
    argv = [sys.executable, "-m", "console", "keys", "make", "alice", "--file", str(file), *options]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=NEVER)
    return next(word for word in done.stdout.split() if word.startswith("amr-"))
