"""Remembers the latest of what has come, so that what comes again changes nothing."""

from __future__ import annotations

import hashlib


class Latest:
    """The latest so many, as digests of 16 bytes: what they were takes ten times as much."""

    def __init__(self, most: int) -> None:
        self._most = most
        # In the order in which they came.
        self._known: dict[bytes, None] = {}

    def is_new(self, what: bytes) -> bool:
        """Whether this has not come before, as far as is remembered; from now on it has."""
        digest = _digest(what)
        if digest in self._known:
            return False
        self._known[digest] = None
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return True

    def forget(self, what: bytes) -> None:
        """Let this be new when it comes again: it could not be taken in."""
        self._known.pop(_digest(what), None)


def _digest(what: bytes) -> bytes:
    return hashlib.blake2b(what, digest_size=16).digest()
