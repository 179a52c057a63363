"""The real open-source gateway with portkey/preload.mjs before it: whom it serves, and where it does not go."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateway_house import running_gateway, running_upstream

TOKEN = {"x-portkey-gateway-token": "a token for this test"}
BODY = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@contextlib.asynccontextmanager
async def provider(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """One that answers every request so; its address."""
    app = web.Application()
    app.router.add_post("/v1/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def config(url: str) -> dict[str, str]:
    target = {"provider": "openai", "api_key": "k", "custom_host": url}
    return {"x-portkey-config": json.dumps(target)}


@pytest.mark.parametrize(
    "route", ["/v1/chat/completions", "/v1/proxy/chat/completions", "/v1/models", "/public/", "//"]
)
@pytest.mark.parametrize("sent", [{}, {"x-portkey-gateway-token": "another"}, {"x-portkey-gateway-token": ""}])
async def test_without_its_token_nobody_is_served(node: str, gateway: Path, route: str, sent: dict[str, str]) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, PORTKEY_GATEWAY_TOKEN=TOKEN["x-portkey-gateway-token"]) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
        session.post(route, headers={**config(upstream.url), **sent}, json=BODY) as response,
    ):
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "gateway_token"
        assert upstream.calls == 0


async def test_with_its_token_the_edge_is_served_and_the_provider_does_not_see_it(node: str, gateway: Path) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.extend(name.lower() for name in request.headers)
        return web.json_response({"choices": []})

    async with (
        provider(answer) as url,
        running_gateway(node, gateway, PORTKEY_GATEWAY_TOKEN=TOKEN["x-portkey-gateway-token"]) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
    ):
        async with session.get("/") as response:
            assert response.status == 200
        for route in ("/v1/chat/completions", "/v1/proxy/chat/completions"):
            async with session.post(route, headers={**config(url), **TOKEN}, json=BODY) as response:
                assert response.status == 200
    assert seen
    assert not [name for name in seen if name.startswith("x-portkey")]


@pytest.mark.parametrize("route", ["/v1/chat/completions", "/v1/proxy/chat/completions"])
async def test_a_redirect_is_not_followed(node: str, gateway: Path, route: str) -> None:
    async def lead_away(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{elsewhere.url}/chat/completions")

    async with (
        provider(lead_away) as url,
        running_upstream() as elsewhere,
        running_gateway(node, gateway) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
        session.post(route, headers=config(url), json=BODY, allow_redirects=False) as response,
    ):
        assert response.status >= 300
        assert elsewhere.calls == 0


async def test_a_name_that_leads_into_a_private_network_is_not_connected_to(node: str, gateway: Path) -> None:
    name = socket.gethostname()
    address = socket.gethostbyname(name)
    with socket.create_server((address, 0)) as listening:
        port = listening.getsockname()[1]
        async with (
            running_gateway(node, gateway) as running,
            aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
            session.post("/v1/chat/completions", headers=config(f"http://{name}:{port}/v1"), json=BODY) as response,
        ):
            assert response.status >= 400
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_private_host_that_is_trusted_is_connected_to(node: str, gateway: Path) -> None:
    async with (
        running_upstream() as upstream,
        running_gateway(node, gateway, TRUSTED_CUSTOM_HOSTS="127.0.0.1") as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
    ):
        upstream.finish.set()
        async with session.post(
            "/v1/proxy/chat/completions", headers=config(upstream.url), json={**BODY, "stream": True}
        ) as response:
            assert response.status == 200
