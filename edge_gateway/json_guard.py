"""Keeps out JSON that is dear to parse or that two readers may read differently.

Parsing cannot be interrupted, and a parser makes an object of every value: nine megabytes of `{}` take half a second and most
of a gigabyte. So the values are counted first, over the bytes and without a Python step for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from edge_gateway.errors import GatewayError, invalid_request

# Aider's largest recorded request has fewer than 1,000 values.
MOST_VALUES = 200_000
# A member has two strings at most, and a string two quotes.
_MOST_QUOTES = 4 * MOST_VALUES
# Bytes that are looked at in one go, which nothing can interrupt; over all of 16 MB a look takes tens of milliseconds.
_PIECE = 1 << 20
# What stands before the value of an object's member, and after the last one.
_BEFORE_VALUE = re.compile(rb"""\s*+[{,]\s*+"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:\s*+""")
_END = re.compile(rb"\s*+}")


def check(raw: bytes) -> None:
    """Return where a text may be parsed; an invalid_request error where it holds too many values."""
    # A value takes two bytes at least, and only what separates values can stand for more of them.
    if len(raw) <= 2 * MOST_VALUES or raw.count(b",") + raw.count(b"{") + raw.count(b"[") < MOST_VALUES:
        return
    if _holds_many(raw):
        raise too_complex(f"more than {MOST_VALUES} values")


def check_names(raw: bytes, members: Mapping[str, msgspec.Raw]) -> None:
    """An invalid_request error where a name stands twice at the top of an object: one reader takes the first, another the last.

    `members`: what a parser made of the same bytes, one value a name. So the text is retraced: where it holds those values, one
    after the other and nothing else, each name stands there once.
    """
    place = 0
    for value in members.values():
        before = _BEFORE_VALUE.match(raw, place)
        kept = bytes(value)
        if before is None or not raw.startswith(kept, before.end()):
            raise _twice()
        place = before.end() + len(kept)
    if members and not _END.match(raw, place):
        raise _twice()


def too_complex(what: str) -> GatewayError:
    """A text that holds too much of something."""
    return invalid_request(f"The request body holds {what}; send less at once.", code="json_too_complex")


def _twice() -> GatewayError:
    text = "The request body holds a field twice at its top level; send each once."
    return invalid_request(text, code="duplicate_field")


def _holds_many(raw: bytes) -> bool:
    """Whether a text has too many strings, or too many values by what stands outside of strings.

    Of a text that is no JSON it finds at least as many as a parser would come by.
    """
    values = quotes = 0
    # Half of an escape that goes on in the next piece.
    left = b""
    for place in range(0, len(raw), _PIECE):
        bare = (left + raw[place : place + _PIECE]).replace(b"\\\\", b"")
        left = bare[-1:] if bare.endswith(b"\\") else b""
        bare = bare.replace(b'\\"', b"")
        within = quotes % 2
        quotes += bare.count(b'"')
        if quotes > _MOST_QUOTES:
            return True
        # Every other part between two quotes is a string.
        structure = b"".join(bare.split(b'"')[within::2])
        values += structure.count(b",") + structure.count(b"{") + structure.count(b"[")
        if values >= MOST_VALUES:
            return True
    return False
