"""Dispatches to Portkey, hosted or its open-source gateway: raw bytes out, raw bytes back, no SDK object on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from edge_gateway import telemetry
from edge_gateway.errors import upstream_timeout, upstream_unreachable
from edge_gateway.portkey.config import Plan
from edge_gateway.upstream import Address, Broken, Connection, Exchange, Pool

CONNECT_SECONDS = 2.0
# For which an idle connection is kept. Node.js drops its own after five.
KEPT_SECONDS = 3.0
USER_AGENT = "edge_gateway"
_CONTROLS = bytes(code for code in range(0x80) if (code < 0x20 and code != 0x09) or code == 0x7F)  # noqa: PLR2004
# As portkey/admission.mjs names it.
ADMITTED_BY = "x-portkey-gateway-token"


class BrokenOff(Exception):
    """The connection to Portkey broke after the request was sent, before its answer was whole."""


class UnsendableHeader(ValueError):
    """A header holds what none may; the text is its name."""


class Stalled(Exception):
    """No byte came for longer than the idle time-out or until its deadline, or, `overdue`, the answer passed its total time."""

    def __init__(self, *, overdue: bool = False) -> None:
        super().__init__()
        self.overdue = overdue


class ShuttingDown(Exception):
    """The process is to end, so the answer, or the rest of it, is not waited for."""


class Waits:
    """What is being waited for just now, all of which can be ended at once."""

    def __init__(self) -> None:
        self.over = False
        self._open: set[asyncio.Future[None]] = set()

    async def until(self, done: asyncio.Future[None], seconds: float) -> None:
        """Wait for that; TimeoutError after so many seconds, or when all waiting is over."""
        if self.over:
            raise TimeoutError
        timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), _give_up, done)
        self._open.add(done)
        try:
            await done
        finally:
            timer.cancel()
            self._open.discard(done)

    def end(self) -> None:
        """End them all, and those that begin later."""
        self.over = True
        for done in self._open:
            _give_up(done)


def _give_up(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_exception(TimeoutError())


class Upstream:
    """An answer whose headers have come; the body is still to be read, and must be closed."""

    __slots__ = ("_connection", "_deadline", "_exchange", "_first", "_waits", "headers", "idle_timeout", "status")

    def __init__(
        self, connection: Connection, exchange: Exchange, idle_timeout: float, deadline: float, waits: Waits
    ) -> None:
        self.status = exchange.status
        # Lower-case names, as often as they came.
        self.headers = exchange.headers
        self.idle_timeout = idle_timeout
        self._connection = connection
        self._exchange = exchange
        self._deadline = deadline
        self._waits = waits
        self._first = dict(reversed(exchange.headers))

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """A response header by its lower-case name, empty when absent."""
        return self._first.get(name, "")

    async def receive(self, deadline: float | None = None) -> bytes:
        """The next bytes as they come, none at the end; BrokenOff, Stalled or ShuttingDown when they do not come.

        `deadline`: until when (time.monotonic()), in place of the idle time-out.
        """
        exchange = self._exchange
        if not exchange.over:
            # To a slow reader there is always something that has come.
            if self._waits.over:
                raise ShuttingDown
            if time.monotonic() >= self._deadline:
                raise Stalled(overdue=True)
        while not (chunk := exchange.take()):
            if exchange.whole:
                return b""
            if exchange.broken:
                raise BrokenOff
            now = time.monotonic()
            wait = self.idle_timeout if deadline is None else deadline - now
            left = self._deadline - now
            try:
                await self._waits.until(exchange.changed(), min(wait, left))
            except TimeoutError:
                if self._waits.over:
                    raise ShuttingDown from None
                raise Stalled(overdue=left <= wait) from None
        return chunk

    async def read(self, limit: int, deadline: float | None = None) -> bytes:
        """The whole body, or its first `limit` bytes; `deadline`: as of `receive`."""
        parts: list[bytes] = []
        size = 0
        while size < limit and (chunk := await self.receive(deadline)):
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)[:limit]

    def close(self) -> None:
        """Let go of the connection; an unfinished answer is aborted."""
        self._connection.leave(self._exchange)


class Portkey:
    """One connection pool to Portkey."""

    def __init__(self, base_url: str, api_key: str, idle_timeout: float, gateway_token: str = "") -> None:
        """`base_url` includes the version; `api_key` is empty for the open-source gateway; time-outs in seconds.

        `gateway_token`: what that gateway lets the edge in by, empty where it asks for none.
        """
        self._address = Address(base_url)
        self._static = {
            **self._address.headers,
            "accept": "*/*",
            "user-agent": USER_AGENT,
            "content-type": "application/json",
            "accept-encoding": "identity",
            **portkey_headers(api_key),
        }
        if gateway_token and not api_key:
            self._static[ADMITTED_BY] = gateway_token
        self._idle_timeout = idle_timeout
        self._waits = Waits()
        self._pool = Pool(self._address, CONNECT_SECONDS, KEPT_SECONDS)
        # For each route the first line and the headers that are the same for every request.
        self._heads: dict[str, bytes] = {}

    @property
    def address(self) -> tuple[str, int]:
        """Its host and port."""
        return self._address.place

    async def send(self, plan: Plan, said: Mapping[str, str], wait: float, deadline: float) -> Upstream:
        """Send a request and wait at most `wait` seconds for its answer's headers, until `deadline` for its end.

        BrokenOff when it was sent and no headers came, ShuttingDown when the process ends first. `said`: the headers that tell
        Portkey of this request: trace id, metadata and their like.
        """
        now = time.monotonic()
        wait = min(wait, deadline - now)
        exchange: Exchange | None = None
        try:
            head = self._head(plan, said)
            connection = self._pool.idle() or await self._connected(wait)
            exchange = connection.begin(head, plan.body)
            try:
                while not exchange.status:
                    if exchange.over:
                        raise Broken
                    await self._waits.until(exchange.changed(), now + wait - time.monotonic())
            except BaseException:
                connection.leave(exchange)
                raise
        except TimeoutError:
            if self._waits.over:
                raise ShuttingDown from None
            raise upstream_timeout(wait) from None
        except UnsendableHeader as unsendable:
            telemetry.problem("unsendable_header", header=str(unsendable))
            raise upstream_unreachable() from None
        except (Broken, ValueError):
            # ValueError: an address that cannot be sent.
            raise (BrokenOff() if exchange else upstream_unreachable()) from None
        return Upstream(connection, exchange, self._idle_timeout, deadline, self._waits)

    def cut(self) -> None:
        """Wait for no answer any longer, begun or not."""
        self._waits.end()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def _connected(self, wait: float) -> Connection:
        """A new connection; TimeoutError when none has come after so many seconds."""
        connecting = asyncio.ensure_future(self._pool.connect())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connecting.add_done_callback(lambda _: None if done.done() else done.set_result(None))
        try:
            await self._waits.until(done, wait)
        except BaseException:
            if not connecting.cancel() and connecting.exception() is None:
                # It came just as it was given up.
                connecting.result().close()
            raise
        return connecting.result()

    def _head(self, plan: Plan, said: Mapping[str, str]) -> bytes:
        """A request's first line and headers; UnsendableHeader where one of them is."""
        known = self._heads.get(plan.route)
        if known is None:
            first = f"POST {self._address.target(plan.route)} HTTP/1.1\r\n".encode()
            known = self._heads[plan.route] = first + _lines(self._static)
        own = {**said, "x-portkey-config": plan.config, "content-length": str(len(plan.body))}
        return b"".join((known, _lines(own), b"\r\n"))


def _lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent; UnsendableHeader for what would be taken for something else there."""
    try:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair.
        lines = b""
    if len(lines.translate(None, _CONTROLS)) == len(lines) - 2 * len(headers):
        return lines
    if len(headers) > 1:
        # One of them is at fault.
        return b"".join([_lines({name: value}) for name, value in headers.items()])
    raise UnsendableHeader(*headers)


def portkey_headers(api_key: str) -> Mapping[str, str]:
    """The headers that are the same for every request, named by Portkey's own SDK."""
    if not api_key:
        return {}
    # Importing the SDK takes two seconds and 76 MB, so only hosted Portkey, which needs its key sent, pays for it.
    from portkey_ai import createHeaders  # noqa: PLC0415

    headers: dict[str, str] = createHeaders(api_key=api_key)  # type: ignore[no-untyped-call]
    return headers
