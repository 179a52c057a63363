"""Looks for Aider, and for configurations of it and the address that each of them names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from console.aider_files import CONFIG
from console.aider_program import find_aider, version_of
from console.doctor.facts import Aider

# The shell's names for the address, and the line of a configuration that holds it.
VARIABLES = ("AIDER_OPENAI_API_BASE", "OPENAI_API_BASE")
LINE = re.compile(r"^openai-api-base:\s*[\"']?([^\"'\s#]+)", re.MULTILINE)


def look_at_aider(folder: Path, shell: Mapping[str, str]) -> Aider:
    """Aider as it would be started in a folder."""
    program = find_aider("", shell)
    home = Path(shell["HOME"]) if shell.get("HOME") else folder
    places = dict.fromkeys(
        (folder / ".aider-model-router" / CONFIG, folder / ".aider.conf.yml", home / ".aider.conf.yml")
    )
    found = [(name, shell[name]) for name in VARIABLES if shell.get(name)]
    found += [(str(path), address) for path in places if (address := _address_in(path))]
    return Aider(program or "", version_of(program, shell) if program else None, tuple(found))


def _address_in(path: Path) -> str:
    try:
        line = LINE.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return line[1] if line else ""
