"""The exact names of the headers that pass the edge, upwards and back, whatever a client or a provider sends."""

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import System, edge_beside
from tests.fakes import provider as fake
from tests.fakes.behaviours import whole
from tests.fakes.provider import FakeProvider, Seen

MESSAGES = [{"role": "user", "content": "hi"}]
# What a client may try: to be somebody, to be sent somewhere, to look like a friend.
HOSTILE_CLIENT = {
    "authorization": "Bearer clients-own-key",
    "x-api-key": "clients-own-key",
    "api-key": "clients-own-key",
    "cookie": "session=clients-own-key",
    "x-portkey-custom-host": "http://127.0.0.1:1/v1",
    "x-portkey-config": '{"provider":"openai","api_key":"clients-own-key"}',
    "x-portkey-provider": "anthropic",
    "x-portkey-virtual-key": "clients-own-key",
    "x-portkey-api-key": "clients-own-key",
    "x-portkey-forward-headers": "cookie,authorization",
    "x-portkey-trace-id": "clients-own-key",
    "x-portkey-metadata": '{"_user":"clients-own-key"}',
    "x-portkey-cache-namespace": "clients-own-key",
    "x-portkey-gateway-token": "clients-own-key",
    "forwarded": "for=10.0.0.1;host=elsewhere.invalid",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "elsewhere.invalid",
    "x-real-ip": "10.0.0.1",
    "proxy-authorization": "Basic clients-own-key",
    "proxy-connection": "keep-alive",
    "te": "trailers",
    "upgrade": "h2c",
    "x-http-method-override": "DELETE",
    "x-original-url": "/admin",
    "referer": "https://page.invalid/clients-own-key",
    # That of a page would be refused; a program may say what it likes.
    "origin": "app://page.invalid",
    "user-agent": "clients-own-key",
    "accept-language": "clients-own-key",
    "baggage": "clients-own-key",
    "x-stainless-lang": "python",
    "openai-organization": "clients-own-key",
}
VERSIONS = {"anthropic-version": "2023-06-01", "anthropic-beta": "tools-2024"}
# What a provider, or Portkey, may try: to set cookies, to tell of itself, to change what the client's stack does.
HOSTILE_UPSTREAM = {
    "set-cookie": "session=providers-own",
    "server": "providers-own",
    "via": "1.1 providers-own",
    "alt-svc": 'h3=":443"; ma=86400',
    "strict-transport-security": "max-age=1",
    "content-security-policy": "default-src *",
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "www-authenticate": "Basic realm=providers-own",
    "location": "http://elsewhere.invalid/",
    "refresh": "0; url=http://elsewhere.invalid/",
    "link": "<http://elsewhere.invalid/>; rel=preload",
    "x-portkey-trace-id": "providers-own",
    "x-portkey-last-used-option-index": "config.targets[0]",
    "x-portkey-provider": "openai",
    "x-portkey-cache-status": "MISS",
    "x-served-model": "providers-own",
    "x-router-model": "providers-own",
    "x-request-id": "providers-own",
    "cache-control": "public, max-age=86400",
    "clear-site-data": '"*"',
    "openai-organization": "providers-own",
    "openai-processing-ms": "12",
    "x-ratelimit-remaining-requests": "9",
    "retry-after": "7",
}
TO_PORTKEY = {
    "host",
    "accept",
    "accept-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "x-portkey-config",
    "x-portkey-gateway-token",
    "x-portkey-metadata",
    "x-portkey-trace-id",
}
# The gateway's own, and the key that the edge holds for the provider.
TO_THE_PROVIDER = {
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "sec-fetch-mode",
    "user-agent",
}
FROM_THE_EDGE = {
    "content-type",
    "date",
    "x-request-id",
    "x-router-conversation-id",
    "x-router-decision-id",
    "x-router-model",
    "x-router-previous-outcome",
    "x-router-purpose",
    "x-router-reason",
    "x-router-source",
    "x-served-model",
}
# The provider's own account of time and limits goes on.
PASSED = {"openai-processing-ms", "retry-after", "x-ratelimit-remaining-requests"}


@pytest.fixture(scope="module")
def portkey_tap():
    """Takes Portkey's place and keeps what it is sent."""
    tap = FakeProvider()
    yield tap
    tap.close()


@pytest.fixture(scope="module")
def before_tap(running: System, portkey_tap: FakeProvider, edge_config):
    with edge_beside(
        running,
        0,
        edge_config,
        PORTKEY_BASE_URL=portkey_tap.url,
        PORTKEY_GATEWAY_TOKEN="edges-own-token",
    ) as system:
        yield system.url


def names(seen: Seen) -> set[str]:
    return {name.lower() for name in seen.headers}


async def ask(http: aiohttp.ClientSession, url: str, path: str = "/v1/chat/completions", **headers: str):
    sent = {"model": "fake/first" if path.endswith("messages") else "auto", "messages": MESSAGES, "max_tokens": 9}
    async with http.post(url + path, json=sent, headers=headers, skip_auto_headers=["User-Agent"]) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()


async def test_portkey_gets_these_headers_and_no_other(http, before_tap, portkey_tap):
    portkey_tap.reset()
    assert (await ask(http, before_tap, **HOSTILE_CLIENT))[0] == 200
    (seen,) = portkey_tap.seen
    assert names(seen) == TO_PORTKEY
    assert seen.headers["x-portkey-gateway-token"] == "edges-own-token"
    assert "clients-own-key" not in str(seen.headers)
    assert "elsewhere.invalid" not in str(seen.headers)


async def test_of_a_clients_headers_the_versions_of_anthropics_api_go_on_and_no_other(http, before_tap, portkey_tap):
    portkey_tap.reset()
    assert (await ask(http, before_tap, **HOSTILE_CLIENT, **VERSIONS))[0] == 200
    (seen,) = portkey_tap.seen
    further = {*VERSIONS, *(f"x-portkey-{name}" for name in VERSIONS), "x-portkey-forward-headers"}
    assert names(seen) == TO_PORTKEY | further
    assert seen.headers["x-portkey-forward-headers"] == "anthropic-version,anthropic-beta"
    assert "clients-own-key" not in str(seen.headers)


@pytest.mark.parametrize("value", ["2023 06;q=1", "a" * 501, 'x", "y', "http://elsewhere.invalid", "ünï"])
async def test_a_version_that_is_none_goes_nowhere(http, before_tap, portkey_tap, value):
    portkey_tap.reset()
    await ask(http, before_tap, **{"anthropic-version": value.encode().decode("latin-1")})
    for seen in portkey_tap.seen:
        assert names(seen) == TO_PORTKEY


async def test_the_provider_gets_these_headers_and_no_other(http, system):
    """Through the real open-source gateway."""
    assert (await ask(http, system.url, **HOSTILE_CLIENT))[0] == 200
    (seen,) = system.provider.seen
    assert names(seen) == TO_THE_PROVIDER
    assert seen.headers["Authorization"] == "Bearer undefined", "the provider has no key here, and gets no client's"
    assert "clients-own-key" not in str(seen.headers)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_client_gets_these_headers_and_no_other(http, before_tap, portkey_tap, stream):
    portkey_tap.reset()

    async def hostile(request: web.Request, body: dict) -> web.StreamResponse:
        if not stream:
            return whole(fake.PLAIN, headers=HOSTILE_UPSTREAM)
        response = web.StreamResponse(headers={**HOSTILE_UPSTREAM, "content-type": "text/event-stream"})
        await response.prepare(request)
        for event in fake.EVENTS:
            await response.write(event)
        return response

    portkey_tap.script["auto"] = portkey_tap.script["first"] = hostile
    sent = {"model": "auto", "messages": MESSAGES, "stream": stream}
    async with http.post(before_tap + "/v1/chat/completions", json=sent) as answer:
        assert answer.status == 200
        got = {name.lower(): value for name, value in answer.headers.items()}
        assert (await answer.read()) == (b"".join(fake.EVENTS) if stream else fake.PLAIN)
    framing = {"cache-control", "transfer-encoding", "x-accel-buffering"} if stream else {"content-length"}
    assert set(got) == FROM_THE_EDGE | PASSED | framing
    assert "providers-own" not in str(got)
    assert got.get("cache-control", "no-cache") == "no-cache"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
async def test_of_a_refusal_the_client_gets_no_header_of_the_upstreams_but_the_time_to_wait(
    http, before_tap, portkey_tap, status
):
    portkey_tap.reset()

    async def hostile(request: web.Request, body: dict) -> web.StreamResponse:
        return whole(b'{"error":{"message":"no"}}', status, HOSTILE_UPSTREAM)

    for model in ("auto", "first", "second"):
        portkey_tap.script[model] = hostile
    code, got, _ = await ask(http, before_tap)
    assert code in (status, 503)
    assert set(got) <= FROM_THE_EDGE | {"content-length", "retry-after"}
    assert "providers-own" not in str(got)


async def test_no_answer_sets_a_cookie_or_tells_what_serves_it(http, system):
    for path in ("/v1/models", "/healthz", "/readyz", "/nowhere", "/v1/chat/completions"):
        async with http.get(system.url + path) as answer:
            assert not {"set-cookie", "server", "x-powered-by", "via"} & {name.lower() for name in answer.headers}
