"""Puts a preference_id into a configuration file, once it is sure that the router would read nothing else anew."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from console.preference import Unfit, with_preference
from router_service import catalog, settings
from router_service.catalog import Catalog
from router_service.errors import InvalidConfiguration


class ConfigurationProblem(Exception):
    """A file that cannot be read, written or used; the text names it."""


def files_of(router_config: str) -> tuple[Path, ...]:
    """The files that ROUTER_CONFIG names, in the order in which they are laid over each other."""
    return tuple(Path(part) for part in router_config.split(os.pathsep) if part)


def is_named(config: Path, files: Sequence[Path]) -> bool:
    """Whether a file is one of those, however it is written."""
    return config.resolve() in {file.resolve() for file in files}


def with_checked_preference(config: Path, files: Sequence[Path], profile: str, preference: str) -> str:
    """The file's text with the profile's preference_id; ConfigurationProblem when the router would not take just that.

    `files` are ROUTER_CONFIG's; the file is checked in its place among them, or over them where it is none of them.
    """
    order = [settings.SHIPPED_CATALOG, *files, *([] if is_named(config, files) else [config])]
    texts = {file.resolve(): _read(file, missing_is_empty=file.resolve() == config.resolve()) for file in order}
    own = config.resolve()
    try:
        documents = [_document(file, texts[file.resolve()]) for file in order]
        owner = _owner(order, documents, profile)
        if owner.resolve() not in (own, settings.SHIPPED_CATALOG.resolve()):
            raise Unfit(f"it does not define the profile {profile}, but {owner} does; name that file instead")
        updated = with_preference(texts[own], texts[settings.SHIPPED_CATALOG.resolve()], profile, preference)
        before = _effective(documents)
        changed = [_document(file, updated if file.resolve() == own else texts[file.resolve()]) for file in order]
        _require_that_alone(before, _effective(changed), profile, preference)
    except (Unfit, InvalidConfiguration) as error:
        raise ConfigurationProblem(f"{config}: {error}") from None
    return updated


def write_preference(config: Path, files: Sequence[Path], profile: str, preference: str) -> bool:
    """Write the preference_id, and look at it again; whether the file has got a copy of the shipped profile with it."""
    before = _read(config, missing_is_empty=True)
    updated = with_checked_preference(config, files, profile, preference)
    replace_file(config, updated)
    try:
        # With the id in it, writing it once more changes nothing; unless another hand was at work meanwhile.
        kept = with_checked_preference(config, files, profile, preference) == updated
    except ConfigurationProblem:
        replace_file(config, before)
        raise
    if not kept:
        raise ConfigurationProblem(f"{config} was changed by somebody else while it was written; look at it.")
    return profile not in tomllib.loads(before).get("profiles", {})


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


def _read(path: Path, *, missing_is_empty: bool) -> str:
    if missing_is_empty and not path.exists():
        return ""
    try:
        # Line ends stay as they are.
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ConfigurationProblem(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigurationProblem(f"{path} cannot be read: {error.strerror}.") from None


def _document(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unfit(f"{file.name} is not TOML: {error}") from None


def _owner(order: Sequence[Path], documents: Sequence[Mapping[str, Any]], profile: str) -> Path:
    """The file whose profile of this name counts: the last one that has it, for a profile replaces an earlier one whole."""
    for file, document in zip(reversed(order), reversed(documents), strict=True):
        profiles = document.get("profiles", {})
        if not isinstance(profiles, Mapping):
            raise Unfit(f"the `profiles` of {file.name} is not a table")
        if profile in profiles:
            return file
    raise Unfit(f"neither it nor the shipped configuration nor a file of ROUTER_CONFIG has a profile named {profile}")


def _effective(documents: Sequence[Mapping[str, Any]]) -> Catalog:
    return catalog.parse(catalog.merge(documents))


def _require_that_alone(before: Catalog, after: Catalog, profile: str, preference: str) -> None:
    """Unfit unless the preference_id is all that the router would read otherwise than before."""
    wished = before.model_dump()
    wished["profiles"][profile]["preference_id"] = preference
    if after.model_dump() != wished:
        raise Unfit(f"writing the preference_id would change more than the profile {profile}'s preference_id")
