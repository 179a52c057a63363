"""Turns a keys file's text into keys: what each may ask for, and how much."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from edge_gateway.access.limits import Limits

# A key begins so, and therefore no name does: who writes a key where its name belongs is told.
PREFIX = "amr-"
_WORD = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NAME = re.compile(f"(?!{PREFIX}){_WORD}")
UNFIT_NAME = (
    f"a key's name is up to 64 letters, digits, dots, hyphens and underscores, and does not begin with {PREFIX}"
)
_FIELD = re.compile(r"[a-z0-9_-]{1,40}")
_PLACE = re.compile(r"\(at (line \d+, column \d+|end of document)\)")
MOST_PROBLEMS = 5


class InvalidKeys(Exception):
    """A keys file that cannot be used; the text names the file, and the line or the field, and repeats no value."""


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[str, StringConstraints(pattern=f"^{_WORD}$")]
Digest = Annotated[str, BeforeValidator(_lower), StringConstraints(pattern="^[0-9a-f]{64}$")]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Number = Annotated[int, Field(gt=0)]
Dollars = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Entry(BaseModel):
    """A key's table in the file; a limit that is not set is none."""

    # Strict: `true` is no number, and a quoted number is none either.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Digest
    tenant: Name | None = None
    models: Annotated[tuple[Glob, ...], BeforeValidator(_tuple), Field(min_length=1)] = ("*",)
    requests_per_minute: Number | None = None
    tokens_per_minute: Number | None = None
    parallel: Number | None = None
    budget_usd_per_day: Dollars | None = None
    budget_usd_per_month: Dollars | None = None
    created: Annotated[date | None, Field(strict=False)] = None
    revoked: bool = False

    @property
    def limits(self) -> Limits:
        """What the key may use."""
        return Limits(
            self.requests_per_minute,
            self.tokens_per_minute,
            self.parallel,
            self.budget_usd_per_day,
            self.budget_usd_per_month,
        )


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: Mapping[str, Entry] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, by its name; the key itself is nowhere kept."""

    name: str
    tenant: str
    models: tuple[str, ...] = ("*",)
    limits: Limits = field(default_factory=Limits)

    def permits(self, model: str) -> bool:
        """Whether the key may ask for a model by this name, be it a profile's or provider/model."""
        return any(fnmatchcase(model, glob) for glob in self.models)


def digest(key: str) -> str:
    """What the file keeps of a key. Keys are random and long, so a plain hash cannot be turned back."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse(text: str, file: str) -> Mapping[str, Entry]:
    """The entries of a keys file by name, revoked ones too; InvalidKeys names `file` and what is wrong in it."""
    try:
        entries = _File.model_validate(tomllib.loads(text)).keys
    except tomllib.TOMLDecodeError as error:
        # The parser's own words may repeat a key that somebody has put in the wrong place.
        place = _PLACE.search(str(error))
        raise InvalidKeys(f"{file} is not TOML{f' ({place.group(1)})' if place else ''}") from None
    except RecursionError:
        raise InvalidKeys(f"{file} is nested too deeply") from None
    except ValidationError as error:
        problems = "; ".join(_problem(dict(item)) for item in error.errors()[:MOST_PROBLEMS])
        raise InvalidKeys(f"{file}: {problems}") from None
    owners: dict[str, str] = {}
    for name, entry in entries.items():
        if not NAME.fullmatch(name):
            raise InvalidKeys(f"{file}: {_shown(name)}: {UNFIT_NAME}")
        if entry.sha256 in owners:
            raise InvalidKeys(f"{file}: keys.{name}.sha256 is the same as that of keys.{owners[entry.sha256]}")
        owners[entry.sha256] = name
    return entries


def key_of(name: str, entry: Entry) -> Key:
    """The key that an entry describes."""
    return Key(name, entry.tenant or name, entry.models, entry.limits)


def _problem(item: Mapping[str, Any]) -> str:
    """One complaint of the model's, in words that name the field and not its value."""
    section, *path = map(str, item["loc"])
    if section != "keys":
        return "a keys file holds tables [keys.NAME] and nothing else"
    where = (
        ".".join([_shown(path[0]), *(part if _FIELD.fullmatch(part) else "…" for part in path[1:])])
        if path
        else section
    )
    if item["type"] == "extra_forbidden":
        return f"{where} is no field of a key; there are {', '.join(Entry.model_fields)}"
    if item["type"] == "missing":
        return f'{where} is missing; `make keys ARGS="make NAME"` writes a whole entry'
    if path[-1:] == ["sha256"]:
        return f'{where} is not 64 hexadecimal digits; `make keys ARGS="make NAME"` writes a whole entry'
    if path[-1:] == ["tenant"]:
        return f"{where} is not up to 64 letters, digits, dots, hyphens and underscores"
    return f"{where}: {item['msg']}"


def _shown(name: str) -> str:
    return f"keys.{name}" if NAME.fullmatch(name) else "keys.…"
