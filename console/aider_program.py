"""Finds Aider, asks its version, and starts it in our place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from typing import NoReturn

from console.home import ROOT

VARIABLE = "AIDER"
# Where `make aider` puts it.
OWN = ROOT / ".venv-aider" / "bin" / "aider"
SECONDS = 60.0
# What the edge tells one session from another by, unless the user has named one.
SESSION = "OPENAI_PROJECT_ID"
KEY = "AIDER_OPENAI_API_KEY"
# What any key is while the edge asks for none: Aider wants one all the same.
NO_KEY = "local"


def find_aider(given: str, shell: Mapping[str, str]) -> str | None:
    """Aider's program: the one that is named, else the shell's, else the one that `make aider` has installed."""
    named = given or shell.get(VARIABLE, "")
    if named:
        return shutil.which(named, path=shell.get("PATH"))
    found = shutil.which("aider", path=shell.get("PATH"))
    return found or (str(OWN) if OWN.is_file() else None)


def version_of(program: str, shell: Mapping[str, str]) -> tuple[int, ...] | None:
    """Aider's version; None when the program does not say."""
    environment = {name: shell[name] for name in ("PATH", "HOME", "LANG") if name in shell}
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
            # Aider looks for configuration and a repository where it is started.
            cwd="/",
            env={**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", answer)
    return tuple(int(part) for part in found.groups() if part) if found else None


def start(program: str, arguments: Sequence[str], key: str, shell: Mapping[str, str]) -> NoReturn:
    """Become Aider. The key goes by its environment, where other users cannot see it; our own settings do not go at all."""
    environment = {
        # A model that Aider has no facts on would make it fetch a price list from the internet.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        SESSION: f"aider-{uuid.uuid4().hex}",
        **shell,
        KEY: key or shell.get(KEY, NO_KEY),
    }
    os.execve(program, [program, *arguments], environment)  # noqa: S606 - no shell is needed
