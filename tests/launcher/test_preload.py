"""The real open-source gateway with portkey/preload.mjs before it: where it listens, when it lets go."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
import pytest
from gateway_house import CHUNK, connects, post, running_gateway, running_upstream
from launcher_house import REPOSITORY

from tests.processes import NEVER


@pytest.mark.parametrize(("host", "elsewhere"), [(None, "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
async def test_it_listens_on_one_address_only(node: str, gateway: Path, host: str | None, elsewhere: str) -> None:
    environment = {"PORTKEY_HOST": host} if host else {}
    async with running_gateway(node, gateway, **environment) as running:
        assert await connects(host or "127.0.0.1", running.port)
        assert not await connects(elsewhere, running.port)


async def leave_after_first_bytes(sent: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> None:
    async with sent as response:
        assert await response.content.readany() == CHUNK
        response.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stream", [True, False], ids=["in the stream", "before the headers"])
async def test_a_departed_client_ends_the_upstream_request(
    node: str, gateway: Path, stream: bool, workers: int
) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, workers) as running,
        aiohttp.ClientSession() as session,
    ):
        request = asyncio.create_task(leave_after_first_bytes(post(session, running.port, upstream, stream)))
        await asyncio.wait_for(upstream.called.wait(), NEVER)
        if stream:
            await asyncio.wait_for(request, NEVER)
        request.cancel()
        await asyncio.wait_for(upstream.left.wait(), NEVER)
        # The fallback's second target was not asked on behalf of nobody.
        assert upstream.calls == 1


async def test_the_limit_before_upstream_headers_can_be_set(node: str, gateway: Path) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S="1") as running,
        aiohttp.ClientSession() as session,
        asyncio.timeout(NEVER),
        post(session, running.port, upstream, stream=False) as response,
    ):
        assert response.status == 500
        assert "Headers Timeout" in await response.text()


async def test_an_answer_that_is_read_to_its_end_is_left_alone(node: str, gateway: Path) -> None:
    async with running_gateway(node, gateway) as running, aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"http://127.0.0.1:{running.port}/") as response:
                assert response.status == 200


async def test_a_wrong_limit_stops_it_with_a_sentence(node: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(node, "--import", str(REPOSITORY / "portkey/preload.mjs"), "--eval", ""),
        env={"PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S": "soon"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), NEVER)
    assert process.returncode == 2
    assert said == b'PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S must be a number of seconds above 0, not "soon".\n'
