"""Where a server is, and how a connection to it comes about."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

Protocol = TypeVar("Protocol", bound=asyncio.Protocol)
# Seconds for which a name's addresses are remembered, and after which the next of them is tried beside the first.
REMEMBERED, NEXT_AFTER = 10.0, 0.25
# What a path or a query may hold as it is.
_SAFE = "/%:@!$&'()*+,;=~-._?"
_PORTS = {"http": 80, "https": 443}


class Address:
    """A server by its base URL."""

    def __init__(self, url: str) -> None:
        """`url`: http or https; where it is none nothing can be reached."""
        self._parts = urlsplit(url)
        self._host = self._parts.hostname or ""
        try:
            self._port = self._parts.port or _PORTS.get(self._parts.scheme, 0)
        except ValueError:
            self._port = 0
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])
        self._found: list[AddrInfoType] = []
        self._found_at = float("-inf")
        # One look for all who wait for it: each would hold a thread of few.
        self._looking: asyncio.Task[None] | None = None

    def target(self, path: str) -> str:
        """What is asked for by a path behind the base URL."""
        base = self._parts.path.rstrip("/") if not self._parts.query else f"{self._parts.path}?{self._parts.query}"
        return quote(base + path, safe=_SAFE)

    @property
    def place(self) -> tuple[str, int]:
        """The host and the port."""
        return self._host, self._port

    @property
    def headers(self) -> dict[str, str]:
        """What the URL has each request say: the host, and who asks where it names somebody."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        host = host if host.isascii() else host.encode("idna").decode()
        usual = self._port == _PORTS.get(self._parts.scheme)
        said = {"host": host if usual else f"{host}:{self._port}"}
        if self._parts.username is not None:
            who = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
            said["authorization"] = f"Basic {base64.b64encode(who.encode()).decode()}"
        return said

    async def connect(self, made: Callable[[], Protocol], seconds: float) -> Protocol:
        """A new connection within so many seconds, after as many at most for its name; OSError where none comes about."""
        loop = asyncio.get_running_loop()
        found = await self._addresses(loop, seconds)
        async with asyncio.timeout(seconds):
            sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=NEXT_AFTER)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                name = self._host if self._tls else None
                _, protocol = await loop.create_connection(made, sock=sock, ssl=self._tls, server_hostname=name)
            except BaseException:
                sock.close()
                raise
        return protocol

    async def _addresses(self, loop: asyncio.AbstractEventLoop, seconds: float) -> list[AddrInfoType]:
        """The server's addresses, each time another one first; the former ones where new ones take longer than `seconds`."""
        if loop.time() - self._found_at > REMEMBERED:
            if self._looking is None:
                self._looking = loop.create_task(self._look(loop))
                self._looking.add_done_callback(self._looked)
            looking = self._looking
            await asyncio.wait({looking}, timeout=seconds)
            # Of its own for each: an error that several shared would hold what each of them holds.
            if looking.done() and looking.exception() is not None:
                raise OSError("its name is not known")
            if not self._found:
                raise TimeoutError
        found = list(self._found)
        self._found.append(self._found.pop(0))
        return found

    async def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if not (self._host and self._port):
            raise OSError("no address")
        # Of a name only what this machine can reach; an address is what it is.
        flags = 0 if _is_literal(self._host) else socket.AI_ADDRCONFIG
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        self._found, self._found_at = cast(list[AddrInfoType], found), loop.time()

    def _looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if not looking.cancelled():
            # All who waited may have gone, and asyncio logs a failure that nobody has looked at.
            looking.exception()


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
