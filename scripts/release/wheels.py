"""Builds a distribution's sdist from what git tracks, and its wheel from that sdist, with nothing fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from scripts.release.distributions import NOTICES, Distribution, pyproject
from scripts.release.tracked import Source, Untracked

# What a build may know of the machine; the rest is the same everywhere.
KNOWN = ("PATH", "HOME", "TMPDIR")


def build(distribution: Distribution, source: Source, out: Path) -> list[Path]:
    """The sdist and the wheel, in `out`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage(distribution, source, folder / "stage")
        sdist = _hatchling("sdist", folder / "stage", folder / "sdist", source.epoch)
        # From the sdist, which so is shown to hold all that a wheel is made of.
        unpack(sdist, folder / "unpacked")
        (unpacked,) = (folder / "unpacked").iterdir()
        wheel = _hatchling("wheel", unpacked, folder / "wheel", source.epoch)
        return [Path(shutil.copyfile(made, out / made.name)) for made in (sdist, wheel)]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive; Debian 12's Python is older than the filters that later ones ask for."""
    with tarfile.open(archive) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)
        opened.extractall(folder)  # noqa: S202 - it was made here


def contents(distribution: Distribution, source: Source) -> dict[str, str]:
    """Path in the distribution -> path in the checkout, of all but its metadata."""
    found = {distribution.place(path): path for path in source.below(*distribution.packages)}
    for origin, place in distribution.moved.items():
        below = source.below(origin)
        if not below:
            raise Untracked(f"{origin} belongs into {distribution.name}, and git tracks nothing of that name.")
        found |= {f"{place}{path.removeprefix(origin)}": path for path in below}
    return found


def stage(distribution: Distribution, source: Source, folder: Path) -> None:
    """Lay out the sdist's files."""
    laid = contents(distribution, source) | {name: name for name in NOTICES} | {"README.md": distribution.readme}
    for place, origin in laid.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(distribution.text(origin, (source.root / origin).read_bytes()))
        (folder / place).chmod(0o755 if source.files[origin] else 0o644)
    (folder / "pyproject.toml").write_text(pyproject(distribution, source.root), encoding="utf-8")


def _hatchling(target: str, folder: Path, out: Path, epoch: int) -> Path:
    environment = {name: os.environ[name] for name in KNOWN if name in os.environ}
    environment |= {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
    argv = [sys.executable, "-P", "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Untracked(f"hatchling could not build the {target} of {folder.name}: {done.stderr.strip()}")
    (made,) = out.iterdir()
    return made
