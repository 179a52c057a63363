"""One request and its answer on a client's connection: uvicorn's, with a shorter way for the answers that are given most."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from edge_gateway.errors import GatewayError
from edge_gateway.forms import MESSAGES

# What no header's value may hold.
_CONTROLS = bytes(code for code in range(0x80) if (code < 0x20 and code != 0x09) or code == 0x7F)  # noqa: PLR2004
# What decides how an answer is framed by more than its length.
_FRAMING = frozenset({b"connection", b"transfer-encoding"})
_WITHOUT_BODY = (204, 304)
# Refusals that are kept ready.
MOST_PREPARED = 16


class Cycle(RequestResponseCycle):
    """The same answers, byte for byte.

    `closes_early`: the connection ends with this answer, but some of the request is still to come, so that closing it at once
    would lose the answer.
    """

    closes_early = False
    # The end of the connection is the end of the answer.
    _unframed = False

    async def send(self, message: Any) -> None:
        """Send the head of an answer, or some of its body."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if self.waiting_for_100_continue:
                # Its client may go on with the body or with another request, and nobody could tell.
                self.keep_alive = False
            if not self._begin(message):
                await super().send(message)
        elif self.chunked_encoding and message.get("more_body") and not self.response_complete:
            if body := message["body"]:
                self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        else:
            if self._unframed:
                self.expected_content_length = len(message.get("body", b""))
            if self.more_body and not self.keep_alive and not message.get("more_body"):
                self.keep_alive = self.closes_early = True
            await super().send(message)

    def refuse(self, refusal: GatewayError) -> None:
        """Answer at once that the request is not served; its body may be still to come."""
        if self.disconnected or self.transport.is_closing():
            return
        if self.waiting_for_100_continue:
            self.keep_alive = False
        self.response_started = self.response_complete = True
        self.closes_early = self.more_body and not self.keep_alive
        path = self.scope["path"]
        self.transport.write(refusal_answer(refusal, self.default_headers, path, keep_alive=self.keep_alive))
        if not self.keep_alive and not self.closes_early:
            self.transport.close()
        self.on_response()

    def _begin(self, message: Any) -> bool:
        """Send the head; False where that is left to uvicorn, which looks at each header."""
        if message["type"] != "http.response.start":
            return False
        status, headers = message.get("status"), message.get("headers", ())
        named = dict(headers)
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        # Of other control characters than the ends of our own lines uvicorn knows what to say.
        clean = len(lines.translate(None, _CONTROLS)) == len(lines) - 2 * len(headers)
        if not clean or status in _WITHOUT_BODY or self.scope["method"] == "HEAD" or not _FRAMING.isdisjoint(named):
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        length = named.get(b"content-length")
        self._unframed = length is None and self.scope["http_version"] == "1.0"
        self.chunked_encoding = length is None and not self._unframed
        self.expected_content_length = int(length) if length is not None else 0
        content = [STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in self.default_headers), lines]
        if not self.keep_alive:
            content.append(b"connection: close\r\n")
        if self.chunked_encoding:
            content.append(b"transfer-encoding: chunked\r\n")
        content.append(b"\r\n")
        self.transport.write(b"".join(content))
        return True


def refusal_answer(
    refusal: GatewayError, default_headers: Iterable[tuple[bytes, bytes]], path: str = "", *, keep_alive: bool = False
) -> bytes:
    """The whole answer that says why a request is not served, in the form whose path was asked for."""
    head = [b"%s: %s\r\n" % header for header in default_headers]
    return b"".join([STATUS_LINE[refusal.status], *head, _own_part(refusal, MESSAGES.path in path, keep_alive)])


@lru_cache(MOST_PREPARED)
def _own_part(refusal: GatewayError, as_messages: bool, keep_alive: bool) -> bytes:
    """All but what goes before every answer: the same refusal is given again and again when there is least time for it."""
    body = MESSAGES.error_body(refusal) if as_messages else refusal.body()
    head = [
        *(f"{name}: {value}\r\n" for name, value in refusal.headers.items()),
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n",
        "\r\n" if keep_alive else "connection: close\r\n\r\n",
    ]
    return "".join(head).encode() + body
