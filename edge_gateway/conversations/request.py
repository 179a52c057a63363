"""A request as far as recognising its conversation needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

# Whose replies a person reads, or an editor carries out.
TALKING = frozenset({"code", "ask", "context", "architect", "editor", "chat"})
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


# Without slots: what is worked out once is kept beside the fields.
@dataclass(frozen=True)
class Request:
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
