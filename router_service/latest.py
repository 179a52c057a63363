"""Remembers the latest of what has come, so that what comes again changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

# How many at least, and for how many seconds, unless more come: an edge tells again for half a minute what it has no answer to.
MOST, SECONDS = 20_000, 60.0


class Latest:
    """What came lately, as digests of 16 bytes: what they were takes ten times as much.

    It is kept in two parts, of which the older is forgotten whole, so that what is kept ends with its time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds of any one clock."""
        self._clock = clock
        self._now: set[bytes] = set()
        self._before: set[bytes] = set()
        self._began = clock()

    def is_new(self, what: bytes) -> bool:
        """Whether this has not come before, as far as is remembered; from now on it has."""
        self._turn()
        digest = _digest(what)
        new = digest not in self._now and digest not in self._before
        # What comes again is remembered for longer.
        self._now.add(digest)
        return new

    def forget(self, what: bytes) -> None:
        """Let this be new when it comes again: it could not be taken in."""
        digest = _digest(what)
        self._now.discard(digest)
        self._before.discard(digest)

    def _turn(self) -> None:
        now = self._clock()
        if len(self._now) >= MOST or now - self._began >= SECONDS:
            self._before, self._now, self._began = self._now, set(), now


def _digest(what: bytes) -> bytes:
    return hashlib.blake2b(what, digest_size=16).digest()
