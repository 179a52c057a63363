"""What is remembered of conversations: digests and ids, bounded in number and in idle time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

import msgspec

from edge_gateway.conversations.digests import Fingerprint

# Exchanges remembered of one conversation, the summaries among them where there are others, and those with their files.
KEPT, SUMMARIES, WITH_FILES = 8, 2, 3
# Of exchanges alike so many are looked at, the latest: some replies are given again and again.
MOST_LOOKED_AT = 256
# Of requests sent side by side more are remembered than that, because their replies are still to come.
MOST_SIDE_BY_SIDE = 32
_NO_FILES: Mapping[str, bytes] = {}


class State(StrEnum):
    """How far an exchange has come."""

    PENDING = "pending"
    # In a way that no client repeats.
    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"


class By(StrEnum):
    """What an exchange is found by."""

    REPLY = "reply"
    USER = "user"
    TURNS = "turns"
    BODY = "body"


class Verdict(msgspec.Struct, frozen=True):
    """How the reply to a decision fared, and the model that gave it."""

    decision_id: str
    served: str
    outcome: str


class Previous(msgspec.Struct, frozen=True):
    """What was found of the previous reply, so that a repeated request is told the same."""

    outcome: str = "none"
    failures: int = 0
    model: str = ""
    decision_id: str = ""
    prefix_characters: int = 0


@dataclass(slots=True, eq=False)
class Exchange:
    """A request and its reply.

    `files`: the chat's files then. `said`: the reply held something, if no text. `told`: the outcomes already reported.
    `plan`: the architect's exchange that this one carries out. `edited`: the files that git shows changed by the reply.
    `keys`: what it is found by; `fleeting`: what of that only until the conversation has moved on. `used`: when a request
    last showed it.
    """

    conversation: Conversation
    purpose: str
    asked: Fingerprint
    system: int
    files: Mapping[str, bytes]
    used: float
    previous: Previous = field(default_factory=Previous)
    state: State = State.PENDING
    decision_id: str = ""
    served: str = ""
    reported: bool = False
    reply: Fingerprint | None = None
    said: bool = False
    told: tuple[str, ...] = ()
    failed: bool = False
    plan: Exchange | None = None
    edited: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()
    fleeting: tuple[int, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether the reply held no text; it may have called a tool."""
        return self.reply is None or self.reply.length == 0

    @property
    def whole(self) -> bool:
        """Whether there is a whole reply, with something in it."""
        return self.state is State.COMPLETED and (self.said or not self.silent)


@dataclass(slots=True, eq=False)
class Edit:
    """An applied edit: the files it changed as they were before, and whether they have been seen to differ since.

    `certain`: git shows that it changed them, or nothing else can have been changed.
    """

    exchange: Exchange
    before: Mapping[str, bytes]
    certain: bool = True
    differed: bool = False


@dataclass(slots=True, eq=False)
class Conversation:
    """One conversation. `sent`: the digests of the latest request's turns, by purpose; `failures`: in a row, by side."""

    caller: bytes
    id: str
    used: float
    exchanges: list[Exchange] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)


class Memory:
    """Conversations by id, exchanges by what they are found by; times are seconds of any one clock."""

    def __init__(self, most: int, idle_seconds: float) -> None:
        """`most`: conversations kept, the least recently used go first; `idle_seconds`: until one is forgotten."""
        self._most = most
        self._idle_seconds = idle_seconds
        self._conversations: OrderedDict[tuple[bytes, str], Conversation] = OrderedDict()
        # There are many keys, and most lead to one exchange; of several, which may be many, the latest is the last.
        self._exchanges: dict[int, Exchange | dict[Exchange, None]] = {}

    def __len__(self) -> int:
        return len(self._conversations)

    def named(self, caller: bytes, name: str) -> Conversation | None:
        """The caller's conversation of that id."""
        return self._conversations.get((caller, name))

    def keep(self, conversation: Conversation, now: float) -> Conversation:
        """Remember a conversation as the most recently used; the one remembered, should it have been begun twice."""
        name = (conversation.caller, conversation.id)
        kept = self._conversations.setdefault(name, conversation)
        self._conversations.move_to_end(name)
        kept.used = now
        while self._conversations:
            key, oldest = next(iter(self._conversations.items()))
            if len(self._conversations) <= self._most and now - oldest.used <= self._idle_seconds:
                break
            del self._conversations[key]
            for exchange in oldest.exchanges:
                self._forget_keys(exchange)
            # They hold each other, and the garbage collector comes seldom.
            oldest.exchanges.clear()
            oldest.edits.clear()
        return kept

    def begin(self, exchange: Exchange) -> None:
        """Remember an exchange as its conversation's latest."""
        exchanges = exchange.conversation.exchanges
        exchanges.append(exchange)
        while len(exchanges) > KEPT and (dispensable := _dispensable(exchanges)):
            self.forget(dispensable)

    def move_on(self, conversation: Conversation) -> None:
        """The user has asked for more: of what was completed before only what a history shows is still needed."""
        for exchange in conversation.exchanges:
            if exchange.whole:
                self._release(exchange, exchange.fleeting)
                exchange.fleeting = ()
        for exchange in conversation.exchanges[:-WITH_FILES]:
            exchange.files = _NO_FILES

    def forget(self, exchange: Exchange) -> None:
        """Forget an exchange; its conversation stays."""
        self._forget_keys(exchange)
        if exchange in exchange.conversation.exchanges:
            exchange.conversation.exchanges.remove(exchange)

    def index(self, exchange: Exchange, by: By, digest: int, *, fleeting: bool = False) -> None:
        """Let an exchange be found; nothing when it or its conversation has been forgotten meanwhile."""
        conversation = exchange.conversation
        key = _key(conversation.caller, by, digest)
        if key in exchange.keys or key in exchange.fleeting or exchange not in conversation.exchanges:
            return
        if self.named(conversation.caller, conversation.id) is not conversation:
            return
        if fleeting:
            exchange.fleeting = (*exchange.fleeting, key)
        else:
            exchange.keys = (*exchange.keys, key)
        alike = self._exchanges.setdefault(key, exchange)
        if isinstance(alike, dict):
            alike[exchange] = None
        elif alike is not exchange:
            self._exchanges[key] = {alike: None, exchange: None}

    def find(self, caller: bytes, *wanted: tuple[By, int], within: str = "") -> list[Exchange]:
        """The caller's exchanges that are found by all of these, latest first; `within`: of this conversation alone.

        Of more than MOST_LOOKED_AT alike the earlier ones are not found, but in their own conversation.
        """
        keys = [_key(caller, by, digest) for by, digest in wanted]
        looked_at: Iterable[Exchange]
        if within:
            named = self.named(caller, within)
            looked_at = reversed(named.exchanges) if named else ()
        else:
            fewest: dict[Exchange, None] = min((self._alike(key) for key in keys), key=len)
            looked_at = islice(reversed(fewest), MOST_LOOKED_AT)
        return [
            exchange
            for exchange in looked_at
            if exchange.conversation.caller == caller
            and all(key in exchange.keys or key in exchange.fleeting for key in keys)
        ]

    def _alike(self, key: int) -> dict[Exchange, None]:
        found = self._exchanges.get(key, {})
        return found if isinstance(found, dict) else {found: None}

    def _forget_keys(self, exchange: Exchange) -> None:
        self._release(exchange, exchange.keys + exchange.fleeting)
        exchange.keys = exchange.fleeting = ()

    def _release(self, exchange: Exchange, keys: tuple[int, ...]) -> None:
        for key in keys:
            found = self._exchanges.get(key)
            if found is exchange:
                del self._exchanges[key]
            elif isinstance(found, dict):
                del found[exchange]
                if not found:
                    del self._exchanges[key]


def _dispensable(exchanges: list[Exchange]) -> Exchange | None:
    """Which exchange to forget next: not one whose reply is to come, while there are not too many of those."""
    summaries = [exchange for exchange in exchanges if exchange.purpose == "summary"]
    if len(summaries) > SUMMARIES:
        return summaries[0]
    # Not the one that was shown last: others may go on from it as well.
    ended = sorted((e for e in exchanges[:-1] if e.state is not State.PENDING), key=lambda exchange: exchange.used)
    if len(ended) > 1:
        return ended[0]
    pending = (exchange for exchange in exchanges if exchange.state is State.PENDING)
    return next(pending) if len(exchanges) > MOST_SIDE_BY_SIDE else None


def _key(caller: bytes, by: By, digest: int) -> int:
    return hash((caller, by, digest))
