"""One request on its way through the edge: what came, what is known of it so far, and what goes back."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge_gateway.tracing.span import NOT_TRACED, Span

LONGEST_VALUE = 300


class RequestHeaders(Mapping[str, str]):
    """A request's headers by their names, which are lower-case; of one that came repeatedly the first counts."""

    __slots__ = ("_all", "_first")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._all = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
        self._first = dict(reversed(self._all))

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of one, or what is to stand for it."""
        return self._first.get(name, default)

    def items(self) -> Any:
        """All names and values, as often as they came."""
        return self._all


@dataclass(slots=True)
class Call:
    """One request as it came, the response headers that grow with what is known of it, and whether the log has it.

    `peer`: the address it came from. `key_name`: whose key came along; `form`: the form of API; `profile`: the one asked for.
    `status` and `code`: what the client is told of it; `stream_end`: how a stream has ended. `read_at` and `dispatched_at`:
    when it was read and left for a model, 0 if it was not; `waited`, `router` and `upstream`: seconds that it waited for its
    key's other requests, for the router and for a model to answer or to begin to, None where nobody was asked.
    `span`: its own in a trace.
    """

    body: bytes
    request_headers: Mapping[str, str]
    base_url_session: str = ""
    peer: str = ""
    started: float = field(default_factory=time.monotonic)
    headers: dict[str, str] = field(default_factory=dict)
    requested_model: str = ""
    key_name: str = ""
    form: str = ""
    profile: str = ""
    told: bool = False
    streamed: bool = False
    status: int = 200
    code: str = ""
    stream_end: str = ""
    read_at: float = 0.0
    dispatched_at: float = 0.0
    waited: float = 0.0
    router: float | None = None
    upstream: float | None = None
    span: Span = NOT_TRACED

    def __post_init__(self) -> None:
        self.headers["x-request-id"] = f"req_{secrets.token_hex(16)}"

    @property
    def model_class(self) -> str:
        """What kind of model was asked for: none, as far as it is known, a profile, or a model by its name."""
        return "none" if not self.requested_model else "named" if "/" in self.requested_model else "profile"

    def elapsed(self) -> float:
        """Seconds since the request came."""
        return time.monotonic() - self.started

    def added(self) -> float:
        """Seconds from its last byte until it left for a model, but for what its key's limits made it wait."""
        return max(0.0, self.dispatched_at - self.read_at - self.waited)


class Reply(msgspec.Struct, frozen=True):
    """What goes back: headers, and either a whole body or a stream; `abandon` is called when that is over, run or not."""

    media_type: str
    headers: Mapping[str, str]
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = None
    abandon: Callable[[], None] = lambda: None


def header_value(text: str) -> str:
    """The text as a header may carry it: printable ASCII on one line, clipped."""
    if not (text.isascii() and text.isprintable()):
        text = "".join([char if " " <= char <= "~" else " " for char in text])
    return text[:LONGEST_VALUE].strip()
