"""Reads how far back to look, as people write it: `7d`, `12h`, `2026-11-01`, `2026-11-01T08:00`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime) -> datetime | None:
    """The moment meant, None for an empty text; a date without a zone is in `now`'s. ValueError says what is accepted."""
    if not text:
        return None
    amount = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    try:
        if amount:
            return now - timedelta(**{UNITS[amount[2]]: int(amount[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a span such as 7d, 12h, 30m nor a date such as 2026-11-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
