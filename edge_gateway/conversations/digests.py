"""Digests that stand for texts, so that a text is recognised without being kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

_WHOLE, _BEGINNING = 8, 4


def digest(*texts: str) -> bytes:
    """A digest of texts in their order."""
    state = blake2b(digest_size=_WHOLE)
    for text in texts:
        raw = _bytes(text)
        state.update(len(raw).to_bytes(8))
        state.update(raw)
    return state.digest()


def each(texts: Iterable[str]) -> bytes:
    """A short digest of every text, one behind the other."""
    return b"".join(blake2b(_bytes(text), digest_size=_BEGINNING).digest() for text in texts)


def common(one: bytes, other: bytes) -> int:
    """How many digests of `each` two rows have in common at their beginning."""
    count = 0
    while one[count : count + _BEGINNING] == other[count : count + _BEGINNING] != b"":
        count += _BEGINNING
    return count // _BEGINNING


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A text's length, and short digests of its first 1, 2, 4, … characters: enough to know its beginnings again."""

    length: int
    beginnings: bytes

    @classmethod
    def of(cls, text: str) -> Fingerprint:
        """The fingerprint of a text; blanks around it do not count."""
        text = text.strip()
        state, found, done, end = blake2b(digest_size=_BEGINNING), [], 0, 1
        while end <= len(text):
            state.update(_bytes(text[done:end]))
            found.append(state.digest())
            done, end = end, end * 2
        return cls(len(text), b"".join(found))

    def begins_with(self, other: Fingerprint) -> bool:
        """Whether this text may begin with the other one, judged by at least half of the other one's characters."""
        return other.length <= self.length and self.beginnings.startswith(other.beginnings)


def _bytes(text: str) -> bytes:
    # JSON can hold half a surrogate pair.
    return text.encode("utf-8", "surrogatepass")
