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


class BrokenOff(Exception):
    """The connection to Portkey broke while the answer was under way."""


class Stalled(Exception):
    """No byte came for longer than the idle time-out or until its deadline, or, `overdue`, the answer passed its total time."""

    def __init__(self, *, overdue: bool = False) -> None:
        super().__init__()
        self.overdue = overdue


@dataclass(slots=True)
class Upstream:
    """An answer whose headers have come; the body is still to be read, and must be closed."""

    response: aiohttp.ClientResponse
    idle_timeout: float
    deadline: float

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
        """The next bytes as they come, none at the end; BrokenOff or Stalled when they do not come.

        `deadline`: until when (time.monotonic()), in place of the idle time-out.
        """
        now = time.monotonic()
        wait = self.idle_timeout if deadline is None else deadline - now
        left = self.deadline - now
        try:
            async with asyncio.timeout(min(wait, left)):
                return await self.response.content.readany()
        except TimeoutError:
            raise Stalled(overdue=left <= wait) from None
        except (aiohttp.ClientError, OSError):
            raise BrokenOff from None

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

    def __init__(self, base_url: str, api_key: str, idle_timeout: float) -> None:
        """`base_url` includes the version; `api_key` is empty for the open-source gateway; time-outs in seconds."""
        self._base_url = base_url.rstrip("/")
        self._static = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            **portkey_headers(api_key),
        }
        self._idle_timeout = idle_timeout
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3.0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    async def send(self, plan: Plan, said: Mapping[str, str], wait: float, deadline: float) -> Upstream:
        """Send a request and wait at most `wait` seconds for its answer's headers, until `deadline` for its end.

        `said`: the headers that tell Portkey of this request: trace id, metadata and their like.
        """
        headers = {**self._static, **said, "x-portkey-config": plan.config}
        wait = min(wait, deadline - time.monotonic())
        try:
            async with asyncio.timeout(wait):
                response = await self._session.post(
                    self._base_url + plan.route, data=plan.body, headers=headers, allow_redirects=False
                )
        except aiohttp.ServerTimeoutError:
            raise upstream_unreachable() from None
        except TimeoutError:
            raise upstream_timeout(wait) from None
        except (aiohttp.ClientError, OSError, ValueError):
            # ValueError: a header that aiohttp will not send or read.
            raise upstream_unreachable() from None
        return Upstream(response, self._idle_timeout, deadline)

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
