"""Turns decisions and reports into JSON documents and back; fields that came later take their defaults."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from router_service.domain import Decision
from router_service.records import Report

Kind = TypeVar("Kind")

# What JSON says as it is; by type, for this runs for each of a decision's hundreds of values.
PLAIN = frozenset({str, int, bool, NoneType})


def to_document(value: Any) -> Any:
    """A dataclass as what JSON can say, without the fields that are empty; a number that JSON cannot say is its name."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if kind in (tuple, list):
        return [to_document(entry) for entry in value]
    if is_dataclass(kind):
        written = ((name, getattr(value, name), empty) for name, empty in _fields(kind))
        return {name: to_document(entry) for name, entry, empty in written if entry or entry != empty}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {key: to_document(entry) for key, entry in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


def from_document(kind: Callable[..., Kind], document: Mapping[str, Any]) -> Kind:
    """The dataclass that `to_document` wrote, by this release or another one."""
    return kind(**{name: _read(hint, document[name]) for name, hint in _hints(kind).items() if name in document})


def decision_from(document: Mapping[str, Any]) -> Decision:
    """A decision read back."""
    return from_document(Decision, document)


def report_from(document: Mapping[str, Any]) -> Report:
    """A report read back."""
    return from_document(Report, document)


def key_of(report: Report) -> str:
    """A report's identity: its contents. What is not known does not count, so that a later release's fields don't."""
    told = {name: value for name, value in to_document(report).items() if value not in (None, 0, "")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@cache
def _fields(kind: Hashable) -> tuple[tuple[str, Any], ...]:
    """Each field's name, and the default that it need not be written with: an empty one, which no release changes."""
    known = []
    for field in fields(cast(Any, kind)):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        known.append((field.name, MISSING if default is MISSING or default else default))
    return tuple(known)


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if NoneType in arguments:
        return None if value is None else _read(next(part for part in arguments if part is not NoneType), value)
    if origin is tuple:
        return tuple(_read(arguments[0], entry) for entry in value)
    if origin is frozenset:
        return frozenset(value)
    if origin is Mapping:
        return {key: _read(arguments[1], entry) for key, entry in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return from_document(hint, value)
    if hint is float or issubclass(hint, StrEnum):
        return hint(value)
    return value
