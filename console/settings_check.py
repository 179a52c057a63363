"""Has the services' own loaders look at the settings, in a process of its own, and looks at the file of settings itself."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from console.home import PACKAGES, ROOT

SECONDS = 60.0
# Others than the owner may read it.
OTHERS = 0o044


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The file of settings: its variables by name, and what is wrong with it as a file."""

    path: Path
    exists: bool
    problem: str = ""
    names: tuple[str, ...] = ()
    set_names: frozenset[str] = frozenset()
    twice: tuple[str, ...] = ()
    bad_lines: tuple[int, ...] = ()
    read_by_others: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loaders said: the problems of each service, and what they made of the settings."""

    problems: tuple[tuple[str, str], ...]
    known: frozenset[str]
    values: Mapping[str, Any]


def load(environment: Mapping[str, str]) -> Loaded:
    """Have all services read these settings, as `make run` would start them."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "console.services"],
            # Before its first start an installed system has no folder yet.
            cwd=ROOT if ROOT.is_dir() else PACKAGES,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        found = json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        return Loaded((("all", "the settings could not be read within a minute"),), frozenset(), {})
    except ValueError:
        # The last line of a traceback says most.
        last = ran.stderr.strip().splitlines()[-1:] or [f"it ended with {ran.returncode}"]
        return Loaded((("all", f"the services cannot be loaded: {last[0]}"),), frozenset(), {})
    problems = tuple((entry["service"], entry["text"]) for entry in found.pop("problems"))
    return Loaded(problems, frozenset(found.pop("known")), found)


def read_env_file(path: Path) -> EnvFile:
    """The file of settings; its values are not kept."""
    try:
        if not path.exists() or not path.stat().st_size:
            return EnvFile(path, exists=path.is_file())
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except UnicodeDecodeError:
        return EnvFile(path, exists=True, problem="it is not text (UTF-8)")
    except OSError as error:
        return EnvFile(path, exists=True, problem=f"it cannot be read: {error.strerror}")
    bindings = list(parse_stream(io.StringIO(text)))
    names = Counter(binding.key for binding in bindings if binding.key)
    bad = tuple(one.original.line for one in bindings if one.error or (one.key is not None and one.value is None))
    values = dotenv_values(stream=io.StringIO(text))
    return EnvFile(
        path,
        exists=True,
        names=tuple(names),
        set_names=frozenset(name for name, value in values.items() if value),
        twice=tuple(name for name, count in names.items() if count > 1),
        bad_lines=bad,
        read_by_others=bool(mode & OTHERS),
    )
