"""What peers need that this project does not: each has a Python environment of its own, and nginx is Debian's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.peer import Absent
from tests.processes import ROOT

FOLDER = Path(__file__).parent / ".envs"


def environment(name: str) -> Path:
    """The Python of the environment with exactly what requirements/peer_NAME.txt locks; made when it is missing."""
    lock, folder = ROOT / "requirements" / f"peer_{name}.txt", FOLDER / name
    stamp, wanted = folder / "stamp", hashlib.sha256(lock.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"  installing requirements/peer_{name}.txt into {folder.relative_to(ROOT)} ...\n")
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)  # noqa: S603
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock)], check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise Absent(f"requirements/peer_{name}.txt could not be installed") from error
    stamp.write_text(wanted)
    return python


def nginx() -> str:
    """The program; installed with apt-get where it is missing and may be."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    if found := shutil.which("nginx", path=path):
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Absent("nginx is not installed")
    # The variables keep the package from asking anything, and from starting a server of its own.
    told = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for argv in (["update"], ["install", "-y", "--no-install-recommends", "nginx"]):
        subprocess.run(  # noqa: S603
            ["apt-get", "-qq", *argv],  # noqa: S607
            check=False,  # whether nginx is there afterwards is what counts
            env=told,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    if found := shutil.which("nginx", path=path):
        return found
    raise Absent("apt-get could not install nginx")
