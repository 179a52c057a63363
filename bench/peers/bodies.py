"""The requests of the comparison, as Aider writes them: its prompt, files, history, and a wish that the mock reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bench.understanding import PROMPT, code

# The load generator writes a number over each: of the request, and of its connection.
NUMBER, CONVERSATION = "@" * 10, "$" * 10
ANSWER = "It is mended."


@dataclass(frozen=True, slots=True)
class Reply:
    """How the mock is to answer: plainly, or with `events`: the first after `wait_ms`, one each `gap_ms` (0, 0: at once)."""

    events: int = 0
    wait_ms: float = 0.0
    gap_ms: float = 0.0

    @property
    def wish(self) -> str:
        """As it travels in the text, which every peer passes on."""
        return f"bench-reply:{self.events}:{self.wait_ms * 1000:.0f}:{self.gap_ms * 1000:.0f};"

    @property
    def text(self) -> str:
        """What the answer says."""
        return "".join(f"word{number} " for number in range(self.events)) if self.events else ANSWER


def body(model: str, size: int, reply: Reply, turns: int = 0) -> bytes:
    """A request of about `size` bytes, with `turns` earlier ones in its history; the files in the chat fill it up."""

    def encoded(room: int) -> bytes:
        asked = {
            "model": model,
            "messages": _messages(room, reply, turns),
            "stream": bool(reply.events),
            "temperature": 0,
        }
        return json.dumps(asked, ensure_ascii=False).encode()

    bare = len(encoded(0))
    return encoded(int(max(0, size - bare) * 0.96))


def raw(path: str, headers: Mapping[str, str], content: bytes) -> bytes:
    """The whole HTTP request."""
    head = {"Host": "127.0.0.1", "Content-Type": "application/json", **headers, "Content-Length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


def _messages(room: int, reply: Reply, turns: int) -> list[dict[str, str]]:
    # A request of a conversation that goes on begins as the one before; any other is unlike all others from its first words on.
    name = CONVERSATION if turns else NUMBER
    history = [
        turn
        for number in range(turns)
        for turn in (("user", f"Change {name}, step {number}: say which file to mend."), ("assistant", reply.text))
    ]
    told = [
        ("system", PROMPT),
        *history,
        ("user", f"I have *added these files to the chat*.\n\nsrc/module_{name}.py\n```\n{code(room)}```"),
        ("assistant", "Ok, any changes I propose will be to those files."),
        ("user", f"Change {NUMBER}: say which file to mend. {reply.wish}"),
    ]
    return [{"role": role, "content": text} for role, text in told]
