"""A request as far as recognising its conversation needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import msgspec

from edge_gateway.conversations import digests

# Whose replies a person reads, or an editor carries out.
TALKING = frozenset({"code", "ask", "context", "architect", "editor", "chat"})
# Turns whose digests are kept: a prompt cache forgets the rest before we do.
MOST_TURNS = 256
FAILED = frozenset({"edit_failed", "lint_failed", "command_failed", "undone"})
_RULES = ("system", "developer")


class Turn(Protocol):
    """One message."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def text(self) -> str:
        """What is said."""


# With a dictionary: what is worked out once is kept beside the fields.
class Request(msgspec.Struct, frozen=True, dict=True):
    """What came, and what was understood of it.

    `caller`: a digest that tells callers apart. `stated`: the conversation's id where the client names it. `body`: a digest
    of the request's bytes. `resent`: the client says that it sends it again. `user_text`: the current turn without what
    Aider appends. `outcome`, `failures`: what the request shows of the previous reply. `files`: the files in the chat, a
    digest of the contents for each name.
    """

    caller: bytes
    stated: str
    body: int
    resent: bool
    purpose: str
    turns: Sequence[Turn]
    user_text: str
    outcome: str
    failures: int
    continuation: bool
    files: Mapping[str, bytes]

    @cached_property
    def question(self) -> int:
        """The position of the last turn of the user's side, -1 when there is none."""
        return next((at for at in range(len(self.turns) - 1, -1, -1) if self.turns[at].role == "user"), -1)

    @cached_property
    def chain(self) -> list[int]:
        """For each turn a digest of all up to it, rules left out."""
        state, found = 0, []
        for turn in self.turns:
            if turn.role not in _RULES:
                state = hash((state, turn.role, turn.text))
            found.append(state)
        return found

    @cached_property
    def sent(self) -> bytes:
        """Short digests of the first turns, each."""
        return digests.each(turn.text for turn in self.turns[:MOST_TURNS])

    @property
    def asked(self) -> str:
        """What the user's last turn says, with what Aider appends."""
        return self.turns[self.question].text if self.question >= 0 else ""

    @property
    def system(self) -> str:
        """The first message, which holds the rules."""
        return self.turns[0].text

    @property
    def begun(self) -> str:
        """The beginning of the reply, where the client asks for its continuation."""
        return self.turns[-1].text if self.continuation and self.turns[-1].role == "assistant" else ""
