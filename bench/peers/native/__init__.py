"""The mock and the load generators, in C because Python's would cost more than the peers do; built at first use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent
BUILD = SOURCES / "build"


class NoCompiler(Exception):
    """There is nothing to build with."""


def built(name: str) -> Path:
    """The program of this name, built when its source is newer."""
    source, program = SOURCES / f"{name}.c", BUILD / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("no C compiler; install one (Debian, Ubuntu: apt-get install gcc libc6-dev)")
    BUILD.mkdir(exist_ok=True)
    # Under a name of its own first: another run may be building too.
    fresh = program.with_suffix(".new")
    argv = [compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", str(fresh), str(source)]
    subprocess.run(argv, check=True)  # noqa: S603
    return fresh.replace(program)
