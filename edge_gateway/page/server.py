"""Runs the page beside the edge: a small server of its own, begun and ended by the edge."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import grpc
import uvicorn

from edge_gateway import telemetry
from edge_gateway.access.keys import Keys
from edge_gateway.page.calls import Calls
from edge_gateway.page.endpoints import Pages
from edge_gateway.page.first_prompt import first_prompt
from edge_gateway.page.guard import Guard, Names
from edge_gateway.page.house import House
from edge_gateway.server.connection import Connection
from edge_gateway.server.connections import Bounds, Connections
from edge_gateway.settings import InvalidSetting, Settings

# As for clients: seconds for headers, for a body, and without a byte taken; connections, for which the edge keeps back files.
BOUNDS = Bounds(10.0, 30.0, 60.0, 50, 0)
# Seconds that an idle connection is kept, and that answers under way get when the edge ends.
KEEP_ALIVE, LAST_WORDS = 15, 2


class _Beside(uvicorn.Server):
    """uvicorn's server, but signals are the edge's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class PageServer:
    """The page; made inside the running event loop."""

    def __init__(
        self,
        settings: Settings,
        listening: socket.socket,
        credentials: grpc.ChannelCredentials | None,
        keys: Keys | None,
        available: Callable[[], Sequence[str]],
    ) -> None:
        """`listening`: as of bind; `keys`: None where none is asked for; `available`: the providers that can be reached."""
        token = settings.router_token.get_secret_value() if settings.router_token else ""
        self._calls = Calls(settings.router, credentials, token)
        first = first_prompt(settings.listen, guarded=keys is not None)
        self._house = House(self._calls, first, settings.routing_characters)
        host = settings.page_listen.rpartition(":")[0].strip("[]")
        pages = Pages(self._house, frozenset(map(str.strip, settings.page_operators.split(","))), available)
        self._connections = Connections(BOUNDS)
        config = uvicorn.Config(
            Guard(pages.app(), Names(host, guarded=keys is not None), keys),
            http=partial(Connection, self._connections, lambda _scope: False),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=LAST_WORDS,
        )
        self._listening = listening
        self._server = _Beside(config)
        self._serving: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve."""
        self._serving = asyncio.create_task(self._server.serve([self._listening]))
        self._serving.add_done_callback(self._ended)
        self._looking = asyncio.create_task(self._connections.watch())

    async def renew(self, credentials: grpc.ChannelCredentials) -> None:
        """Ask the router with these credentials from now on."""
        await self._calls.renew(credentials)

    async def close(self) -> None:
        """End every answer, and serve no more."""
        self._house.live.close()
        self._server.should_exit = True
        # However it ends, what the edge has still to tell is told.
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        if self._looking is not None:
            self._looking.cancel()
        await self._calls.close()

    def _ended(self, serving: asyncio.Task[None]) -> None:
        if not self._server.should_exit:
            error = None if serving.cancelled() else serving.exception()
            telemetry.problem("page_ended", error=type(error).__name__)


def bind(listen: str) -> socket.socket:
    """The socket at HOST:PORT; InvalidSetting says why there is none."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except OSError as error:
        raise InvalidSetting(
            f"EDGE_PAGE_LISTEN: the page cannot listen on {listen}: {error.strerror or error}"
        ) from None
