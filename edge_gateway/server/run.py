"""Runs the HTTP server: its connections bounded, its end drained, so that no answer is cut without a word."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from edge_gateway.server.connection import Connection
from edge_gateway.server.connections import Bounds, Connections

# Seconds that answers get for their last words once the drain is over.
LAST_WORDS = 5.0
# An idle connection is kept for so many seconds; clients drop theirs sooner, so that none is closed as it is used again.
KEEP_ALIVE = 30
# File descriptors that are no client's: the log, the router, Redis, the event loop's own, the page's connections.
OWN_FILES = 90
# Each client has its connection, and one to Portkey.
FILES_A_CLIENT = 2
LEAST_CONNECTIONS = 8
# Connections that are taken in one turn of the event loop, at most, and files that the process may open for each of them.
TAKEN_AT_ONCE, FILES_A_TAKER = 16, 32


class Server(uvicorn.Server):
    """uvicorn's server with an orderly end."""

    def __init__(self, config: uvicorn.Config, application: FastAPI, connections: Connections, drain: float) -> None:
        """`drain`: seconds that answers under way get to finish; its app ends those that are left, each with a word."""
        super().__init__(config)
        self._application = application
        self._connections = connections
        self._drain = drain
        self._watching: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._watching = asyncio.create_task(self._connections.watch())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection, let answers finish, end the rest, and close."""
        cutting = asyncio.get_running_loop().call_later(self._drain, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()
            if self._watching is not None:
                self._watching.cancel()
        # uvicorn would raise the signal again; whoever asked for an end has had an orderly one.
        self._captured_signals.clear()

    def _cut(self) -> None:
        self._application.state.cut()
        self._connections.cut()


def run(
    application: FastAPI, refuses: Callable[[Mapping[str, Any]], bool], listen: str, bounds: Bounds, drain: float
) -> None:
    """Serve until SIGTERM or SIGINT. `refuses`: as of Connection; `listen`: HOST:PORT; `drain`: as of Server."""
    host, _, port = listen.rpartition(":")
    files = _most_files()
    connections = Connections(_possible(bounds, files))
    config = uvicorn.Config(
        application,
        host=host.strip("[]"),
        port=int(port),
        http=partial(Connection, connections, refuses),  # type: ignore[arg-type]  # anything that makes a protocol will do
        ws="none",
        # What clients send wrong is told in a line of our own.
        log_level="error",
        access_log=False,
        server_header=False,
        # Whose address it is decides nothing that a header may decide.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(drain + LAST_WORDS),
    )
    listening = config.bind_socket()
    # uvloop takes one connection a turn of each socket; whoever waits to be taken sees no answer, not even a refusal.
    takers = [listening, *(listening.dup() for _ in range(min(TAKEN_AT_ONCE, files // FILES_A_TAKER) - 1))]
    Server(config, application, connections, drain).run(takers)


def _most_files() -> int:
    """The files that the process may open; it takes as many as it is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def _possible(bounds: Bounds, files: int) -> Bounds:
    """The bounds with no more connections than there are files for."""
    possible = max(LEAST_CONNECTIONS, (files - OWN_FILES) // FILES_A_CLIENT)
    return replace(bounds, connections=min(bounds.connections, possible))
