"""The requests of the load: each a conversation of its own, with a word in it that says how the stub is to answer."""

from dataclasses import dataclass
from functools import cached_property

CODE = "    return compute(left, right) if left is not None else default  # and so on, as code does\n"
# The stub looks for it in the first bytes of a request; the edge passes on fields that it has never heard of.
MARK = b'"bench":"'


@dataclass(frozen=True)
class Wish:
    """How the stub is to answer: plainly, or with `chunks` at `rate` a second (0: at once), each `pad` bytes longer.

    `fault`: "refuse" (a 503), or "cut" (the connection breaks off after the chunks). `wait`: seconds before the answer.
    """

    chunks: int = 0
    rate: float = 0.0
    pad: int = 0
    fault: str = ""
    wait: float = 0.0

    def encoded(self) -> str:
        """As it travels."""
        return f"{self.chunks}:{self.rate}:{self.pad}:{self.fault}:{self.wait}"


def read_wish(body: bytes) -> tuple[Wish, str]:
    """The wish in a request, and the request's own name."""
    start = body.find(MARK, 0, 2000)
    if start < 0:
        return Wish(), ""
    start += len(MARK)
    chunks, rate, pad, fault, wait, name = body[start : body.index(b'"', start)].decode().split(":")
    return Wish(int(chunks), float(rate), int(pad), fault, float(wait)), name


@dataclass(frozen=True)
class Ask:
    """A kind of request; `size`: bytes of its prompt."""

    size: int
    wish: Wish = Wish()
    model: str = "auto"

    @cached_property
    def _text(self) -> str:
        return (CODE * (self.size // len(CODE) + 1))[: self.size].replace("\n", "\\n")

    def raw(self, name: str, session: str = "") -> bytes:
        """The bytes of one request; its name makes its conversation a new one, unless a session goes on."""
        # Temperature 0, as Aider sends it: the edge keeps the answers, though nobody asks for them again.
        body = (
            f'{{"model":"{self.model}","bench":"{self.wish.encoded()}:{name}",'
            f'"stream":{"true" if self.wish.chunks else "false"},"temperature":0,"messages":['
            f'{{"role":"system","content":"You are a programmer."}},'
            f'{{"role":"user","content":"Change number {name}: mend this.\\n{self._text}"}}]}}'
        ).encode()
        named = f"X-Session-Id: {session}\r\n" if session else ""
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{named}\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Probe:
    """A look at whether the process answers."""

    path: str = "/healthz"

    def raw(self, name: str) -> bytes:
        """The bytes of one request."""
        return f"GET {self.path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode()
