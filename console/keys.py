"""Makes, lists and revokes clients' keys in a keys file, and leaves everything else in it as it is."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tomlkit
from rich import box
from rich.table import Table
from tomlkit.exceptions import TOMLKitError

from console.configuration import ConfigurationProblem, replace_file
from console.home import LIST_KEYS, MAKE_KEY
from edge_gateway.access.entries import NAME, PREFIX, UNFIT_NAME, Entry, InvalidKeys, digest, parse
from edge_gateway.access.keys import read

SETTING = "EDGE_API_KEYS_FILE"
HEADER = "# The clients' keys, as digests; a running edge takes changes up by itself.\n"
LIMITS = ("requests_per_minute", "tokens_per_minute", "parallel", "budget_usd_per_day", "budget_usd_per_month")


class KeysProblem(Exception):
    """What was asked cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new key shall be; None and empty leave a field to its default."""

    tenant: str
    models: tuple[str, ...]
    # By the names of LIMITS.
    limits: Mapping[str, int | float | None]


def make(file: Path, name: str, wish: Wish, today: date) -> str:
    """Write a new key's entry, and return the key, which is nowhere kept."""
    if not NAME.fullmatch(name):
        raise KeysProblem(f"{name!r} is no name: {UNFIT_NAME}.")
    text = _text(file) if file.exists() else HEADER
    if (known := _entries(text, file).get(name)) is not None:
        state = (
            "revoked; its name stays taken, so that what was spent under it is not mixed up"
            if known.revoked
            else "valid"
        )
        raise KeysProblem(f"{file} has a key named {name} already ({state}). Take another name.")
    key = PREFIX + secrets.token_urlsafe(32)
    fields: dict[str, Any] = {"sha256": digest(key), "tenant": wish.tenant, "models": list(wish.models)}
    fields |= {**wish.limits, "created": today.isoformat()}
    given = {field: value for field, value in fields.items() if value not in (None, "", [])}
    _write(file, text, name, given)
    return key


def revoke(file: Path, name: str) -> bool:
    """Revoke a key; False when it was revoked already."""
    text = _text(file)
    entry = _entries(text, file).get(name)
    if entry is None:
        raise KeysProblem(f"{file} has no key named {name}; {LIST_KEYS} shows what there is.")
    if not entry.revoked:
        _write(file, text, name, {"revoked": True})
    return not entry.revoked


def listed(file: Path) -> list[dict[str, Any]]:
    """The keys of a file, without their digests."""
    entries = _entries(_text(file), file)
    return [
        {"name": name, **entry.model_dump(mode="json", exclude={"sha256"}), "tenant": entry.tenant or name}
        for name, entry in entries.items()
    ]


def as_json(file: Path) -> str:
    """The keys as one JSON document; a limit that is not set is null."""
    return json.dumps({"keys": listed(file)}, indent=2)


def as_table(file: Path) -> Table:
    """A row for each key."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    headings = (
        "name",
        "tenant",
        "models",
        "requests\na minute",
        "tokens\na minute",
        "parallel",
        "$ a day",
        "$ a month",
    )
    for heading in (*headings, "created", "state"):
        table.add_column(
            heading, justify="right" if "\n" in heading or heading in ("parallel", *headings[-2:]) else "left"
        )
    for row in listed(file):
        limits = ["-" if row[limit] is None else f"{row[limit]:.10g}" for limit in LIMITS]
        state = "revoked" if row["revoked"] else "valid"
        table.add_row(row["name"], row["tenant"], " ".join(row["models"]), *limits, row["created"] or "-", state)
    return table


def _write(file: Path, text: str, name: str, fields: Mapping[str, Any]) -> None:
    """Set fields of a key, once it is sure that the edge would read that and nothing else anew."""
    before = _entries(text, file)
    unfit = KeysProblem(f"{file} is written in a way that cannot be added to; give each key a table [keys.NAME] there.")
    try:
        updated = _with(text, name, fields)
    except (TOMLKitError, ValueError):
        raise unfit from None
    after = _entries(updated, file)
    changed = {**(before[name].model_dump() if name in before else {}), **fields}
    if after != {**before, name: Entry.model_validate(changed)}:
        raise unfit
    new = not file.exists()
    try:
        replace_file(file, updated)
        if new:
            # It holds digests that cannot be turned back, and the edge may run as another user, as it does in a container.
            file.chmod(0o644)
    except ConfigurationProblem as problem:
        raise KeysProblem(str(problem)) from None


def _with(text: str, name: str, fields: Mapping[str, Any]) -> str:
    document = tomlkit.parse(text)
    keys = document.setdefault("keys", tomlkit.table(is_super_table=True))
    keys.setdefault(name, tomlkit.table()).update(fields)
    return tomlkit.dumps(document)


def _text(file: Path) -> str:
    try:
        return read(file)
    except InvalidKeys as error:
        raise KeysProblem(f"{error}. {MAKE_KEY} makes one; --file or {SETTING} names another.") from None


def _entries(text: str, file: Path) -> Mapping[str, Entry]:
    try:
        return parse(text, str(file))
    except InvalidKeys as error:
        raise KeysProblem(f"{error}.") from None
