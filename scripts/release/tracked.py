"""What belongs to the project here: the files that git tracks, the commit they come from, and its time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pathspec

# Where there is no git, and SOURCE_DATE_EPOCH says nothing: 2020-02-02 UTC, which hatchling takes as well.
FALLBACK_EPOCH = 1580601600


class Untracked(Exception):
    """What cannot be built from; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder to build from.

    `files`: path -> whether it may be executed. `epoch`: seconds since 1970, the time that all that is built bears.
    `revision`: the commit, empty without git. `changed`: whether the files are not as that commit has them.
    """

    root: Path
    files: Mapping[str, bool]
    epoch: int
    revision: str = ""
    changed: bool = False

    def below(self, *places: str) -> dict[str, bool]:
        """The files that are one of these places, or in one."""
        return {
            path: executable
            for path, executable in self.files.items()
            if path in places or path.startswith(tuple(f"{place}/" for place in places))
        }


def look(root: Path) -> Source:
    """The folder's files, as git tracks them; without git all that .gitignore does not name."""
    if not (root / ".git").exists():
        return Source(root, _unignored(root), _epoch(None))
    revision = _git(root, "rev-parse", "HEAD").strip()
    return Source(
        root,
        _tracked(root),
        _epoch(_git(root, "log", "-1", "--no-show-signature", "--format=%ct")),
        revision,
        bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip()),
    )


def _tracked(root: Path) -> dict[str, bool]:
    found = {}
    for entry in _git(root, "ls-files", "--stage", "-z").split("\0"):
        if not entry:
            continue
        told, _, path = entry.partition("\t")
        mode, _, stage = told.split()
        if not mode.startswith("100") or stage != "0":
            raise Untracked(f"{path} is not an ordinary file that is committed or added (mode {mode}, stage {stage}).")
        if not (root / path).is_file():
            raise Untracked(f"{path} is tracked and gone; restore it, or `git rm` it.")
        found[path] = mode == "100755"
    return dict(sorted(found.items()))


def _unignored(root: Path) -> dict[str, bool]:
    ignored = pathspec.GitIgnoreSpec.from_lines((root / ".gitignore").read_text(encoding="utf-8").splitlines())
    found = {}
    for folder, names, files in os.walk(root):
        here = Path(folder).relative_to(root)
        names[:] = [name for name in names if not ignored.match_file(f"{here / name}/")]
        for name in files:
            path = str(here / name)
            if not ignored.match_file(path):
                found[path] = os.access(root / path, os.X_OK)
    return dict(sorted(found.items()))


def _epoch(committed: str | None) -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH") or committed or str(FALLBACK_EPOCH)
    if not given.strip().isdecimal():
        raise Untracked(f"SOURCE_DATE_EPOCH must be seconds since 1970; it is {given!r}.")
    return int(given)


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise Untracked(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
