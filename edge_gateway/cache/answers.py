"""Which answers are kept, under which key, and what is kept with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum, auto

import msgspec

from edge_gateway.cache.stores import Store
from edge_gateway.chat_request import ChatRequest
from edge_gateway.event_stream import Said

# Outcomes after which nobody shall be given the same answer again.
BAD = frozenset(
    {"edit_failed", "no_edits", "lint_failed", "command_failed", "undone", "interrupted", "provider_failed"}
)


class Wish(Enum):
    """What the client's Cache-Control says: nothing, not to be answered from here, or not to be kept either."""

    NONE = auto()
    FRESH = auto()
    NOTHING_KEPT = auto()


class Kept(msgspec.Struct, frozen=True):
    """A whole answer: the provider's bytes, who gave it and why, what it said, when it was kept (seconds since the epoch)."""

    media_type: str
    body: bytes
    headers: dict[str, str]
    text: str
    anything: bool
    kept_at: float

    @property
    def said(self) -> Said:
        """What the reply said."""
        return Said(self.text, self.anything)


class Recording:
    """Collects the bytes of an answer on its way, up to a bound; one that passes it is not kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Some more bytes."""
        self._size += len(chunk)
        if self._size <= self._most:
            self._parts.append(chunk)
        else:
            self._parts.clear()

    def whole(self) -> bytes | None:
        """All bytes, None when they were too many."""
        return b"".join(self._parts) if 0 < self._size <= self._most else None


class Answers:
    """The cache's front: asks the store, and knows what belongs into it."""

    def __init__(self, store: Store, seconds: float, most_bytes: int) -> None:
        """`seconds`: for how long an answer is given again, 0 for never; `most_bytes`: the largest answer kept."""
        self._store = store
        self._seconds = seconds
        self.most_bytes = most_bytes

    def takes(self, request: ChatRequest, wish: Wish) -> bool:
        """Whether the answer to such a request is kept at all."""
        return self._seconds > 0 and request.repeatable and wish is not Wish.NOTHING_KEPT

    async def find(self, key: bytes) -> Kept | None:
        """The kept answer; None where there is none, it is too old, or it cannot be read."""
        raw = await self._store.get(key)
        if raw is None:
            return None
        try:
            return msgspec.msgpack.decode(raw, type=Kept)
        except msgspec.DecodeError:
            return None

    async def keep(self, key: bytes, answer: Kept, decision_id: str) -> None:
        """Keep an answer, to be found by its key, and to be forgotten by its decision."""
        await self._store.put(key, msgspec.msgpack.encode(answer), self._seconds, decision_id)

    async def forget(self, decision_id: str, outcome: str) -> None:
        """A reply has been heard of: one that fared badly is not given again."""
        if outcome in BAD:
            await self._store.forget(decision_id)

    async def close(self) -> None:
        """Close what is open."""
        await self._store.close()


def key_of(caller: bytes, path: str, versions: Mapping[str, str], body: bytes) -> bytes:
    """What an answer is found by: who asks, in which form and version of it, and every byte of the question."""
    # Of the digests that do not collide, the one that today's processors compute themselves.
    digest = hashlib.sha256(b"edge-cache")
    for part in (caller, path.encode(), *(f"{name}: {versions[name]}".encode() for name in sorted(versions)), b""):
        digest.update(len(part).to_bytes(4, "big") + part)
    digest.update(body)
    return digest.digest()


def wish_of(headers: Mapping[str, str]) -> Wish:
    """What the client wishes, by the standard header."""
    words = {word.strip().partition("=")[0].lower() for word in headers.get("cache-control", "").split(",")}
    if "no-store" in words:
        return Wish.NOTHING_KEPT
    return Wish.FRESH if "no-cache" in words else Wish.NONE
