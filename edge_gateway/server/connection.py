"""A client's connection: HTTP as uvicorn speaks it, with an end for those that are too slow, too large or too many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge_gateway import errors, telemetry
from edge_gateway.errors import GatewayError
from edge_gateway.server.connections import Connections
from edge_gateway.server.cycle import Cycle, refusal_answer
from edge_gateway.server.intake import MOST_HEADER_BYTES, Intake
from edge_gateway.server.parting import LINGER, Parting

# Requests that may wait for their turn before no more is read: of a client that is not read nobody hears that it leaves.
MOST_WAITING = 1
# The name under which a request's scope offers to tell when its client is gone.
GONE = "edge_gateway.gone"
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_OVERLOADED = errors.overloaded()


class _Refused(Exception):
    """Ends the parser; the reason is kept with the connection."""


class Connection(HttpToolsProtocol):
    """One of them. Times are time.monotonic()."""

    def __init__(self, connections: Connections, refuses: Callable[[Mapping[str, Any]], bool], **given: Any) -> None:
        """`refuses`: whether there is no room for a request whose turn it is; `given`: what uvicorn gives its protocols."""
        super().__init__(**given)
        self._all = connections
        self._refuses = refuses
        self._bounds = connections.bounds
        self._address = ""
        self._intake = Intake()
        self._answered_at = 0.0
        # What was left to write at the last look, and since when it has been that much.
        self._unwritten = 0
        self._unwritten_since = 0.0
        # A second parser is told the headers that the first has read.
        self._taking_up = False
        self._refusal: GatewayError | None = None
        self._parting = Parting()
        # The request whose answer is awaited or was given last; uvicorn's `cycle` is the one that came last.
        self._served: Cycle | None = None
        # What has to be called when the client is gone, and whether it is.
        self._leave: Callable[[], object] | None = None
        self._gone = False
        self._extensions: Any = {GONE: self.when_gone}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._intake.await_head(time.monotonic())
        if (refusal := self._all.enter(self, self._address)) is not None:
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, whoever ended it."""
        super().connection_lost(exc)
        self._all.leave(self, self._address)
        self._has_gone()
        # What it served holds it in turn, and the garbage collector comes seldom.
        self.pipeline.clear()
        self._served = None
        self.cycle = None  # type: ignore[assignment]
        self.scope = {}  # type: ignore[typeddict-item]

    def when_gone(self, leave: Callable[[], object] | None) -> None:
        """Have this called once, when the client of the request that is served is gone, perhaps at once; None for nothing."""
        self._leave = leave
        if self._gone:
            self._has_gone()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._parting.begun:
            return
        intake = self._intake
        if intake.head_since is None and intake.body_since is None and self._answered():
            intake.await_head(time.monotonic())
        self._unset_keepalive_if_required()
        intake.begin_read()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or errors.bad_http("it cannot be read"))
        if intake.end_read(len(data)):
            self._refuse(errors.header_too_large(MOST_HEADER_BYTES))

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._taking_up:
            return
        if self._parting.begun:
            # It came with one whose answer was the last.
            raise _Refused
        if self._intake.head_since is None and self._answered():
            self._intake.await_head(time.monotonic())
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._intake.begin_head()

    def on_url(self, url: bytes) -> None:
        """A piece of what is asked for."""
        if not self._taking_up:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header is whole, or one trailer, of which none means anything here."""
        if self._taking_up:
            return
        if self._intake.take_header(len(name) + len(value) + len(b": \r\n")):
            self._give_up(errors.header_too_large(MOST_HEADER_BYTES))
        if not self._intake.in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """All headers are."""
        if self._taking_up:
            return
        if self._intake.take_header(len(self.url)):
            self._give_up(errors.header_too_large(MOST_HEADER_BYTES))
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._give_up(errors.bad_http("it has to have one Host header"))
        self._intake.begin_body(time.monotonic())
        self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        """More of a body."""
        self._intake.take_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.parser.should_upgrade():
            # httptools passes over the body of such a request; it is read yet.
            return
        self._intake.end_body()
        if self._answered() and self.timeout_keep_alive_task is None:
            # That was the rest of a request that was answered before it was read; the connection idles from now on.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        super().on_message_complete()
        if len(self.pipeline) <= MOST_WAITING:
            # Nobody asks for more of this one, and while reading is paused nobody hears that the client leaves.
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """The answer is written."""
        served = self._served
        super().on_response_complete()
        self._answered_at = time.monotonic()
        if served is not None and served.closes_early:
            self._parting.begin(self.transport, self.flow)
        elif self._intake.in_head:
            # The next has begun to come meanwhile.
            self._intake.head_since = self._answered_at

    def shutdown(self) -> None:
        """The process ends: close when what is under way is answered."""
        if not self._parting.begun:
            super().shutdown()

    def cut(self) -> None:
        """The process has waited long enough: a request that still comes will not be served."""
        if self._intake.body_since is not None and not self._answered() and not self.pipeline:
            self._refuse(errors.server_shutdown())

    def look(self, now: float) -> None:
        """End the connection if its client has had its time."""
        intake = self._intake
        if self._parting.begun:
            if self._parting.is_over(now):
                self.transport.abort()
        elif self._stuck(now):
            telemetry.event("client_stuck", seconds=self._bounds.write_seconds, unwritten=self._unwritten)
            self.transport.abort()
        elif intake.head_since is not None and now - intake.head_since > self._bounds.header_seconds:
            if intake.idle_bytes:
                self._refuse(errors.request_too_slow())
            else:
                self.transport.abort()
        elif intake.body_since is not None and self._answered():
            if now - self._answered_at > LINGER:
                self.transport.abort()
        elif intake.body_since is not None and (self.flow.read_paused or self.pipeline):
            # It waits for us.
            intake.await_body(now)
        elif intake.body_late(now, self._bounds.body_seconds):
            self._refuse(errors.request_too_slow())

    def _begin_cycle(self) -> None:
        """Have the request served, as uvicorn does, but for its other protocols and bounds, by a cycle of our own."""
        version, scope = self.parser.get_http_version(), self.scope
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._serve_or_refuse(self.cycle)
        else:
            # One that came before the answer to the last waits for it.
            self.pipeline.appendleft((self.cycle, self.app))
            if len(self.pipeline) > MOST_WAITING:
                self.flow.pause_reading()

    def _serve_or_refuse(self, cycle: Cycle) -> None:
        """One that comes to an idle connection: where there is no room for it, nothing more is begun than its answer."""
        # A refusal within the same read has begun the time to idle.
        self._unset_keepalive_if_required()
        self._served = cycle
        if not self._refuses(cycle.scope):
            super()._start_asgi_task(cycle, self.app)
        elif self.flow.write_paused:
            super()._start_asgi_task(cycle, partial(_refused_in_turn, cycle))
        else:
            cycle.refuse(_OVERLOADED)

    def _start_asgi_task(self, cycle: Cycle, app: Any) -> None:  # type: ignore[override]
        """One that has waited for the answer before: that is over, and counts no more, once this one's task begins."""
        self._served = cycle
        super()._start_asgi_task(cycle, partial(self._in_turn, cycle, app))

    async def _in_turn(self, cycle: Cycle, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if self._refuses(cycle.scope):
            await _refused_in_turn(cycle)
        else:
            await app(scope, receive, send)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._take_up()
            else:
                return

    def _take_up(self) -> None:
        """Pass over a request's wish for another protocol, which is none of ours.

        The parser has stopped before the body, so a second one, told how long that is, takes up there.
        """
        framing = [b"%s: %s\r\n" % header for header in self.headers if header[0] in _FRAMING]
        self.parser = httptools.HttpRequestParser(self)
        self._taking_up = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")
        self._taking_up = False

    def _answered(self) -> bool:
        """Whether no request waits for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _stuck(self, now: float) -> bool:
        """Whether the client has taken none of what waits for it for too long."""
        unwritten = self.transport.get_write_buffer_size()
        if unwritten == 0 or unwritten != self._unwritten:
            self._unwritten, self._unwritten_since = unwritten, now
        return now - self._unwritten_since > self._bounds.write_seconds

    def _has_gone(self) -> None:
        """Whoever serves the client hears that it has gone, and writes no more."""
        self._gone = True
        if self._served is not None:
            self._served.disconnected = True
            self._served.message_event.set()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def _give_up(self, refusal: GatewayError) -> None:
        self._refusal = refusal
        raise _Refused

    def _refuse(self, refusal: GatewayError) -> None:
        """Say why, where an answer is awaited, and let go of the client."""
        if self.transport.is_closing() or self._parting.begun:
            return
        telemetry.event("refused", status=refusal.status, code=refusal.code)
        served = self._served
        answering = served is not None and served.response_started and not served.response_complete
        # A word of ours within an answer, or before another's turn, would be taken for a part of it.
        out_of_turn = answering or bool(self.pipeline)
        answered_early = self._intake.body_since is not None and self._answered()
        self._has_gone()
        self.pipeline.clear()
        self.flow.resume_writing()
        if out_of_turn:
            self._parting.cut(self.transport)
            return
        if not answered_early:
            self.transport.write(refusal_answer(refusal, self.server_state.default_headers))
        self._parting.begin(self.transport, self.flow)


async def _refused_in_turn(cycle: Cycle, *_: object) -> None:
    """As an application: refuse once what was said before has been taken."""
    await cycle.flow.drain()
    cycle.refuse(_OVERLOADED)
