"""Shows moments as people read them, in their own time zone."""

from __future__ import annotations

from datetime import datetime


def shown_time(iso: str | None) -> str:
    """Day and time of an ISO 8601 moment; a dash for none."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S") if iso else "-"


def shown_clock(iso: str | None) -> str:
    """The time of day alone."""
    return shown_time(iso)[-8:]
