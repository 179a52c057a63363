"""One request and its answer on a client's connection: uvicorn's, with a shorter way for the answers that are given most."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# What no header's value may hold.
_CONTROLS = bytes(code for code in range(0x80) if (code < 0x20 and code != 0x09) or code == 0x7F)  # noqa: PLR2004
# What decides how an answer is framed by more than its length.
_FRAMING = frozenset({b"connection", b"transfer-encoding"})
_WITHOUT_BODY = (204, 304)


class Cycle(RequestResponseCycle):
    """The same answers, byte for byte, but for clients of HTTP/1.0 and for those that asked whether to send their body."""

    _open_ended = False

    async def send(self, message: Any) -> None:
        """Send the head of an answer, or some of its body."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if not self._begin(message):
                await super().send(message)
        elif self._open_ended and not self.response_complete:
            body = message.get("body", b"")
            self.expected_content_length = len(body)
            await super().send(message)
        elif self.chunked_encoding and message.get("more_body") and not self.response_complete:
            if body := message["body"]:
                self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        else:
            await super().send(message)

    def _begin(self, message: Any) -> bool:
        """Send the head; False where that is left to uvicorn, which looks at each header."""
        if message["type"] != "http.response.start":
            return False
        status, headers = message["status"], message.get("headers", ())
        named = dict(headers)
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        # Of other control characters than the ends of our own lines uvicorn knows what to say.
        clean = len(lines.translate(None, _CONTROLS)) == len(lines) - 2 * len(headers)
        if not clean or status in _WITHOUT_BODY or self.scope["method"] == "HEAD" or not _FRAMING.isdisjoint(named):
            return False
        self.response_started = True
        if self.waiting_for_100_continue:
            # The body that was announced will not come, and the next request would be taken for it.
            self.waiting_for_100_continue = self.keep_alive = False
        length = named.get(b"content-length")
        # HTTP/1.0 knows no chunks: there an answer of unknown length ends with its connection.
        self.chunked_encoding = length is None and self.scope["http_version"] != "1.0"
        self._open_ended = length is None and not self.chunked_encoding
        self.expected_content_length = int(length) if length is not None else 0
        content = [STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in self.default_headers), lines]
        if not self.keep_alive:
            content.append(b"connection: close\r\n")
        if self.chunked_encoding:
            content.append(b"transfer-encoding: chunked\r\n")
        content.append(b"\r\n")
        self.transport.write(b"".join(content))
        return True
