"""Every route of the edge asks for a key, however its path is spelt, and nothing is served but those routes."""

import http.client
import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import aiohttp
import pytest
from fastapi.routing import iter_route_contexts

from edge_gateway import app, settings
from tests.processes import NEVER

# All that answers without a key.
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
# These serve a base URL with a query, to which clients append the path.
AFTER_QUERY = ("/", "/v1")
BODY = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}]}).encode()
JSON = {"content-type": "application/json"}


def routes() -> set[tuple[str, str]]:
    """What the edge serves, as its own app tells: methods and paths."""
    served = app.create(settings.load(), settings.load_config("")).routes
    return {(method, route.path) for route in iter_route_contexts(served) for method in route.methods or ("GET",)}


def address(path: str) -> str:
    filled = path.replace("{session}", "mine").replace("{name:path}", "fake/first")
    return f"{filled}?session=mine/chat/completions" if path in AFTER_QUERY else filled


def test_the_routes_are_those_that_are_known_here():
    """A new one has to be thought about: whether it asks for a key, and what it lets out."""
    bases = ("/v1", "", "/s/{session}/v1", "/s/{session}")
    forms = ("/chat/completions", "/responses", "/messages", "/completions", "/embeddings")
    known = {("POST", base + form) for base in bases for form in forms}
    known |= {("GET", base + path) for base in bases for path in ("/models", "/models/{name:path}")}
    assert routes() == known | {("POST", path) for path in AFTER_QUERY} | OPEN


@pytest.mark.parametrize(("method", "path"), sorted(routes()))
async def test_without_a_key_a_route_is_shut(http: aiohttp.ClientSession, guarded, method, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"cookie": f"key={guarded.key}"}):
        async with http.request(
            method, guarded.url + address(path), data=BODY if method == "POST" else None, headers={**JSON, **headers}
        ) as answer:
            assert answer.status == (200 if (method, path) in OPEN else 401)
    assert guarded.system.provider.seen == []


@pytest.mark.parametrize(("method", "path"), sorted(routes() - OPEN))
async def test_with_a_key_a_route_is_open(http: aiohttp.ClientSession, guarded, method, path):
    headers = {**JSON, "authorization": f"Bearer {guarded.key}"}
    async with http.request(
        method, guarded.url + address(path), data=BODY if method == "POST" else None, headers=headers
    ) as answer:
        # Not every form takes this body; it was read all the same.
        assert answer.status not in (401, 500)


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/%76%31/chat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions/",
        "/healthz/../v1/chat/completions",
        "/healthz/v1/chat/completions",
        "/healthz;/v1/chat/completions",
        "/healthz?/v1/chat/completions",
        "/healthz%00/v1/chat/completions",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions?x=/healthz",
        "/v1/chat/completions%3f/healthz",
        "/v1/../v1/chat/completions",
        "/s/healthz/v1/chat/completions",
        "/s/../healthz/chat/completions",
        "http://elsewhere.invalid/v1/chat/completions",
        "http://127.0.0.1/healthz/../v1/chat/completions",
        "/V1/CHAT/COMPLETIONS",
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "elsewhere.invalid", "a/healthz#@b"])
def test_no_spelling_of_a_path_and_no_host_leads_past_the_key(guarded, path, host):
    where = urlsplit(guarded.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=NEVER)
    connection.putrequest("POST", path, skip_host=True)
    for name, value in {"host": host, **JSON, "content-length": str(len(BODY))}.items():
        connection.putheader(name, value)
    connection.endheaders(BODY)
    with closing(connection), connection.getresponse() as answer:
        assert answer.status in (400, 401, 404, 405)
    assert guarded.system.provider.seen == []


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/admin", "/debug", "/v1/proxy/x"])
async def test_there_is_no_page_no_description_and_no_proxy(http: aiohttp.ClientSession, guarded, path):
    headers = {"authorization": f"Bearer {guarded.key}"}
    for method in ("GET", "POST"):
        async with http.request(method, guarded.url + path, headers=headers) as answer:
            assert answer.status == 404
            assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/healthz"])
async def test_a_web_page_gets_no_leave_to_call(http: aiohttp.ClientSession, guarded, path):
    asked = {
        "origin": "https://page.invalid",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
        "access-control-request-private-network": "true",
    }
    async with http.options(guarded.url + path, headers=asked) as answer:
        assert answer.status == 405
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    headers = {"origin": "https://page.invalid", "authorization": f"Bearer {guarded.key}"}
    async with http.get(guarded.url + "/v1/models", headers=headers) as answer:
        assert answer.status == 200
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


async def test_health_tells_no_stranger_anything_but_the_providers_names(http: aiohttp.ClientSession, guarded):
    async with http.get(guarded.url + "/healthz") as answer:
        assert await answer.json() == {"status": "ok"}
    async with http.get(guarded.url + "/readyz") as answer:
        told = await answer.json()
    assert set(told) <= {"status", "decisions", "providers"}
    assert "127.0.0.1" not in json.dumps(told)


def test_who_has_no_key_is_answered_before_anything_large_is_read(guarded):
    """The headers tell already; a stranger need not be allowed to send 16 MiB first."""
    where = urlsplit(guarded.url)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-type: application/json\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=NEVER) as connection:
        connection.sendall(f"{head}content-length: 16000000\r\n\r\n{{".encode())
        assert connection.recv(4096).split(b"\r\n", 1)[0].endswith(b"401 Unauthorized")


async def test_a_web_page_is_not_served_where_no_key_is_asked_for(http, system):
    body = {"model": "fake/first", "messages": [{"role": "user", "content": "hi"}]}
    for origin, host in (
        ("http://page.test", "page.test"),
        ("HTTPS://page.test", "127.0.0.1"),
        ("http://127.0.0.1:1", "x"),
    ):
        headers = {"origin": origin, "host": host}
        async with http.post(f"{system.url}/v1/chat/completions", json=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "origin_not_allowed")
    assert not system.provider.seen
    async with http.post(f"{system.url}/v1/chat/completions", json=body, headers={"origin": "app://editor"}) as answer:
        assert answer.status == 200
