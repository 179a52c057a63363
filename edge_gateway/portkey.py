"""Dispatches to Portkey, hosted or its open-source gateway: raw bytes out, raw bytes back, no SDK object on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from edge_gateway.errors import upstream_timeout, upstream_unreachable
from edge_gateway.portkey_config import Plan

CONNECT_SECONDS = 2.0
# As portkey/admission.mjs names it.
ADMITTED_BY = "x-portkey-gateway-token"


class BrokenOff(Exception):
    """The connection to Portkey broke while the answer was under way."""


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
        self._open: set[asyncio.Timeout] = set()

    def begin(self, seconds: float) -> asyncio.Timeout:
        """A limit to enter at once, and to give to `done` afterwards; it is over when all waiting is."""
        limit = asyncio.timeout(0 if self.over else seconds)
        self._open.add(limit)
        return limit

    def done(self, limit: asyncio.Timeout) -> None:
        """This one is not waited for any more."""
        self._open.discard(limit)

    def end(self) -> None:
        """End them all, and those that begin later."""
        self.over = True
        for limit in self._open:
            # One whose time is just over cannot be changed any more, and ends by itself.
            if not limit.expired():
                limit.reschedule(0)


@dataclass(slots=True)
class Upstream:
    """An answer whose headers have come; the body is still to be read, and must be closed."""

    response: aiohttp.ClientResponse
    idle_timeout: float
    deadline: float
    waits: Waits

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return self.response.headers.get("content-type", "").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """A response header, empty when absent."""
        return self.response.headers.get(name, "")

    async def receive(self, deadline: float | None = None) -> bytes:
        """The next bytes as they come, none at the end; BrokenOff, Stalled or ShuttingDown when they do not come.

        `deadline`: until when (time.monotonic()), in place of the idle time-out.
        """
        now = time.monotonic()
        wait = self.idle_timeout if deadline is None else deadline - now
        left = self.deadline - now
        limit = self.waits.begin(min(wait, left))
        try:
            async with limit:
                return await self.response.content.readany()
        except TimeoutError:
            if self.waits.over:
                raise ShuttingDown from None
            raise Stalled(overdue=left <= wait) from None
        except (aiohttp.ClientError, OSError) as error:
            _let_go(error)
            raise BrokenOff from None
        finally:
            self.waits.done(limit)

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
        self.response.close()


class Portkey:
    """One connection pool to Portkey."""

    def __init__(self, base_url: str, api_key: str, idle_timeout: float, gateway_token: str = "") -> None:
        """`base_url` includes the version; `api_key` is empty for the open-source gateway; time-outs in seconds.

        `gateway_token`: what that gateway lets the edge in by, empty where it asks for none.
        """
        self._base_url = base_url.rstrip("/")
        self._static = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            **portkey_headers(api_key),
        }
        if gateway_token and not api_key:
            self._static[ADMITTED_BY] = gateway_token
        self._idle_timeout = idle_timeout
        self._waits = Waits()
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3.0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    async def send(self, plan: Plan, said: Mapping[str, str], wait: float, deadline: float) -> Upstream:
        """Send a request and wait at most `wait` seconds for its answer's headers, until `deadline` for its end.

        ShuttingDown when the process ends first. `said`: the headers that tell Portkey of this request: trace id, metadata
        and their like.
        """
        headers = {**self._static, **said, "x-portkey-config": plan.config}
        wait = min(wait, deadline - time.monotonic())
        limit = self._waits.begin(wait)
        try:
            async with limit:
                response = await self._session.post(
                    self._base_url + plan.route, data=plan.body, headers=headers, allow_redirects=False
                )
        except aiohttp.ServerTimeoutError:
            raise upstream_unreachable() from None
        except TimeoutError:
            if self._waits.over:
                raise ShuttingDown from None
            raise upstream_timeout(wait) from None
        except (aiohttp.ClientError, OSError, ValueError):
            # ValueError: a header that aiohttp will not send or read.
            raise upstream_unreachable() from None
        finally:
            self._waits.done(limit)
        return Upstream(response, self._idle_timeout, deadline, self._waits)

    def cut(self) -> None:
        """Wait for no answer any longer, begun or not."""
        self._waits.end()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def portkey_headers(api_key: str) -> Mapping[str, str]:
    """The headers that are the same for every request, named by Portkey's own SDK."""
    if not api_key:
        return {}
    # Importing the SDK takes two seconds and 76 MB, so only hosted Portkey, which needs its key sent, pays for it.
    from portkey_ai import createHeaders  # noqa: PLC0415

    headers: dict[str, str] = createHeaders(api_key=api_key)  # type: ignore[no-untyped-call]
    return headers


def _let_go(error: BaseException) -> None:
    """Let an error that aiohttp keeps with its stream not hold, by its frames, all that the stream was read with."""
    kept: BaseException | None = error
    while kept is not None:
        kept.__traceback__ = None
        kept = kept.__cause__ or kept.__context__
