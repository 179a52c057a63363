"""Environments that hold what was built, and folders to build in that differ from the checkout in all that must not matter."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT, Process

EARLY = 1_000_000_000
UV = Path(sys.executable).with_name("uv")
INSTALL = ("install", "-qq", "--disable-pip-version-check", "--no-compile")


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder outside of the checkout in which its programs are started."""

    root: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a program of it is started with, before what a test adds: no PYTHONPATH, and no folder of this user's."""
        home = {"HOME": str(self.folder), "AIDER_MODEL_ROUTER_HOME": str(self.folder / "home")}
        return {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8", "NO_COLOR": "1", **home}

    def run(self, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """A program of the environment, to its end."""
        argv = [self.root / "bin" / words[0], *words[1:]]
        variables = {**self.variables, **env}
        return subprocess.run(
            argv, cwd=self.folder, env=variables, capture_output=True, text=True, check=False, timeout=60
        )

    def start(self, name: str, *words: str, **env: str) -> Process:
        """A program of the environment that goes on."""
        argv = [str(self.root / "bin" / words[0]), *words[1:]]
        return Process(argv, {**self.variables, **env}, name, self.folder)

    def pip(self, *words: str | Path) -> None:
        """pip, from outside."""
        argv = [sys.executable, "-m", "pip", "--python", self.root / "bin" / "python", *words]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def install_locked(self, lock: Path) -> None:
        """All that is locked, by hash: linked from uv's cache, or by pip where uv knows no index."""
        only = ("--require-hashes", "--only-binary", ":all:", "-r", lock)
        argv = [UV, "pip", "install", "-q", "--link-mode=hardlink", "--python", self.root / "bin" / "python", *only]
        if subprocess.run(argv, capture_output=True, check=False, timeout=300).returncode:
            self.pip(*INSTALL, *only)


def environment(folder: Path, lock: Path | None, *wheels: Path) -> Environment:
    """A fresh environment with what is locked, and with wheels whose dependencies that must satisfy."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    (folder / "work").mkdir()
    made = Environment(folder / "venv", folder / "work")
    if lock:
        made.install_locked(lock)
    made.pip(*INSTALL, "--no-index", "--no-deps", *wheels)
    if lock:
        made.pip("check")
    return made


def tracked(*places: str) -> list[str]:
    """What git tracks there, as git itself says."""
    argv = ["git", "ls-files", "-z", "--", *places]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for path in listed.split("\0") if path)


def copy_of_the_checkout(folder: Path) -> None:
    """The tracked files as they are here, with other times and closed modes."""
    for path in tracked():
        place = folder / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, place)
        place.chmod(0o700 if os.access(ROOT / path, os.X_OK) else 0o600)
        os.utime(place, (EARLY, EARLY))
