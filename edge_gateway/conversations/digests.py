"""Digests that stand for texts, so that a text is recognised without being kept.

They are Python's own hashes: keyed anew in every process, several times as fast as cryptographic ones, and remembered
with each string, so that a large text is gone through once. They mean nothing outside the process, and need not.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_SHORT = 4
_MASK = 0xFFFF_FFFF
# The lengths of the beginnings that are told apart.
_LENGTHS = tuple(2**power for power in range(17))


def digest(*texts: str) -> int:
    """A digest of texts in their order."""
    return hash(texts)


def each(texts: Iterable[str]) -> bytes:
    """A short digest of every text, one behind the other."""
    return b"".join([(hash(text) & _MASK).to_bytes(_SHORT) for text in texts])


def common(one: bytes, other: bytes) -> int:
    """How many digests of `each` two rows have in common at their beginning."""
    count = 0
    while one[count : count + _SHORT] == other[count : count + _SHORT] != b"":
        count += _SHORT
    return count // _SHORT


class Fingerprint(msgspec.Struct, frozen=True, gc=False):
    """A text's length, and short digests of its first 1, 2, 4, … characters: enough to know its beginnings again."""

    length: int
    beginnings: bytes

    @classmethod
    def of(cls, text: str) -> Fingerprint:
        """The fingerprint of a text; blanks around it do not count."""
        text = text.strip()
        lengths = _LENGTHS[: len(text).bit_length()]
        return cls(len(text), each([text[:length] for length in lengths]))

    def begins_with(self, other: Fingerprint) -> bool:
        """Whether this text may begin with the other one: at least half of the other one agrees, or 64 Ki characters."""
        return other.length <= self.length and self.beginnings.startswith(other.beginnings)
