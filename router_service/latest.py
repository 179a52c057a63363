"""Remembers the latest of what has come, so that what comes again changes nothing."""

from __future__ import annotations

import hashlib
from collections import deque


class Latest:
    """The latest so many, as digests of 16 bytes: what they were takes ten times as much."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[bytes] = set()
        # A dictionary in order would be looked through from its start, past all that is gone, for each that goes.
        self._in_order: deque[bytes] = deque()

    def is_new(self, what: bytes) -> bool:
        """Whether this has not come before, as far as is remembered; from now on it has."""
        digest = _digest(what)
        if digest in self._known:
            return False
        self._known.add(digest)
        self._in_order.append(digest)
        if len(self._in_order) > self._most:
            self._known.discard(self._in_order.popleft())
        return True

    def forget(self, what: bytes) -> None:
        """Let this be new when it comes again: it could not be taken in. What then stands twice is forgotten a little early."""
        self._known.discard(_digest(what))


def _digest(what: bytes) -> bytes:
    return hashlib.blake2b(what, digest_size=16).digest()
