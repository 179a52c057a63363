"""Finds a Docker engine: the machine's own, else the one that ../shared brings for a bare Debian; else says why not."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.processes import SHARED

ENGINE = SHARED / "docker" / "engine"


class NoEngine(Exception):
    """There is no engine here; the text says why."""


def environment() -> Mapping[str, str]:
    """The environment in which `docker compose` works here; NoEngine when none can be had."""
    own = dict(os.environ)
    if _answers(own):
        return own
    if not ENGINE.is_file():
        raise NoEngine("no Docker engine answers here, and there is none to start")
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        raise NoEngine("no Docker engine answers here, and starting one takes root on Debian")
    brought = own | _exports()
    if not _answers(brought):
        started = subprocess.run([str(ENGINE), "up"], capture_output=True, text=True, check=False, timeout=1200)
        if started.returncode or not _answers(brought):
            raise NoEngine(f"the Docker engine did not start here: {started.stderr.strip()[-300:]}")
    return brought


def _exports() -> dict[str, str]:
    script = f'eval "$({ENGINE} env)" && env -0'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)


def _answers(env: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(["docker", "compose", "ls"], env=dict(env), capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
