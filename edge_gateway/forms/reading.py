"""What all forms read alike: JSON that may be broken, counts that may be missing, errors that may be none."""

from __future__ import annotations

import msgspec

# A provider's bytes may be no UTF-8, hold numbers beyond Python's, or be nested without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
# What stands where nothing is said.
NOTHING = (b"", b"null", b'""', b"[]", b"{}", b"false")
# What the contract's counters hold.
_MOST_TOKENS = 2**32 - 1


def count(tokens: int | None) -> int:
    """A count as the contract takes it, 0 where there is none."""
    return min(max(tokens or 0, 0), _MOST_TOKENS)


def error_of(raw: msgspec.Raw) -> bytes:
    """The error, empty for what some providers send where others leave it out."""
    held = bytes(raw)
    return b"" if held in NOTHING else held
