"""Turns the router's answers into what JSON can hold and a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any


def plain(value: Any) -> Any:
    """Every field by its name: what is not set is None, a word lower-case, a time ISO 8601, a duration seconds."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    # A StrEnum is a text, but does not say so in JSON's eyes.
    return dict(value) if isinstance(value, Mapping) else str(value) if isinstance(value, str) else value
