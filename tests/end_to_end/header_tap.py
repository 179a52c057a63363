"""Stands before the edge, or before Portkey, passes everything on, and remembers what came and the answers' headers."""

import io
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp
from aiohttp import web

from tests.fakes.threads import ServerThread

# What a proxy may not pass on: aiohttp frames the answer anew.
FRAMING = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection"})


class Asked(NamedTuple):
    """One request as it came."""

    headers: dict[str, str]
    body: bytes


class HeaderTap:
    """A proxy before a server; `asked` holds the requests and `answers` the headers of the answers, each in order."""

    def __init__(self, server_url: str) -> None:
        self.asked: list[Asked] = []
        self.answers: list[dict[str, str]] = []
        self._server_url = server_url
        self._thread = ServerThread(self._start)
        self.url = f"http://127.0.0.1:{self._thread.port}"

    def close(self) -> None:
        self._thread.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        session = aiohttp.ClientSession(auto_decompress=False)

        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            self.asked.append(Asked({name.lower(): value for name, value in request.headers.items()}, body))
            headers = {name: value for name, value in request.headers.items() if name.lower() not in {*FRAMING, "host"}}
            # As a file: of large bytes aiohttp warns that they are sent in one go.
            sent = io.BytesIO(body) if body else None
            async with session.request(
                request.method, self._server_url + request.path_qs, data=sent, headers=headers
            ) as answer:
                self.answers.append({name.lower(): value for name, value in answer.headers.items()})
                passed = {name: value for name, value in answer.headers.items() if name.lower() not in FRAMING}
                response = web.StreamResponse(status=answer.status, headers=passed)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response

        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()

        async def stop() -> None:
            await runner.cleanup()
            await session.close()

        return runner.addresses[0][1], stop
