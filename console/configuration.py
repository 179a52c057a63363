"""Reads a configuration file, checks it as the router would with a preference_id in it, and replaces it whole."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path

from console.preference import Unfit, with_preference
from router_service import catalog, settings
from router_service.errors import InvalidConfiguration


class ConfigurationProblem(Exception):
    """A file that cannot be read, written or used; the text names it."""


def with_checked_preference(config: Path, profile: str, preference: str) -> str:
    """The file's text with the profile's preference_id; ConfigurationProblem when the router would not take it."""
    try:
        text = config.read_text(encoding="utf-8") if config.exists() else ""
        shipped = settings.SHIPPED_CATALOG.read_text(encoding="utf-8")
        updated = with_preference(text, shipped, profile, preference)
        catalog.parse(catalog.merge([tomllib.loads(shipped), tomllib.loads(updated)]))
    except (Unfit, InvalidConfiguration, UnicodeDecodeError) as error:
        raise ConfigurationProblem(f"{config}: {error}") from None
    except OSError as error:
        raise ConfigurationProblem(f"{config} cannot be read: {error.strerror}.") from None
    return updated


def replace_file(path: Path, text: str) -> None:
    """Replace a file whole, so that a router that looks at it never reads half; it keeps its rights, a new one is private."""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=path.parent, delete=False) as beside:
            beside.write(text)
        if path.exists():
            Path(beside.name).chmod(path.stat().st_mode & 0o777)
        os.replace(beside.name, path)
    except OSError as error:
        raise ConfigurationProblem(f"{path} cannot be written: {error.strerror}.") from None
