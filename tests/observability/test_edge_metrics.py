"""What the edge counts is what clients have seen, and no client decides what series there are."""

import asyncio
import http.client
import random
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

import edge_gateway.metrics.bounded
import router_service.metrics.bounded
from edge_gateway.metrics.scraping import MetricsServer
from tests.fakes import provider as fake
from tests.observability.conftest import watched_edge
from tests.observability.scrape import Scrape, Since, series_of
from tests.processes import NEVER, ROOT, free_port, wait_until

MESSAGES = [{"role": "user", "content": "hello"}]
# What stands in all that the fuzzing client makes up.
ODD = "zqzq"


async def ask(session: aiohttp.ClientSession, url: str, path: str = "/v1/chat/completions", **body: object) -> int:
    body = {"model": "auto", "messages": MESSAGES, **body}
    async with session.post(url + path, json=body) as answer:
        await answer.read()
        return answer.status


def counted(since: Since, **expected: float) -> None:
    """Whether so much comes to be counted: a log line, and with it its count, may follow an answer by a moment."""
    wanted = {tuple(entry.split(" ")): value for entry, value in expected.items()}
    wait_until(lambda: since.all(wanted), f"{expected} to be counted")


async def test_answers_are_counted_with_their_tokens(http, watched):
    since, url = Since(watched.edge), watched.system.url
    assert [await ask(http, url), await ask(http, url, stream=True), await ask(http, url, model="fake/second")] == [
        200
    ] * 3
    counted(
        since,
        **{
            "edge_requests_total route=chat status=200 stream=false model_class=profile": 1,
            "edge_requests_total route=chat status=200 stream=true model_class=profile": 1,
            "edge_requests_total route=chat status=200 stream=false model_class=named": 1,
            "edge_stream_end_total reason=done": 1,
            "edge_replies_total model=fake/first outcome=completed": 2,
            "edge_replies_total model=fake/second outcome=completed": 1,
            "edge_tokens_total model=fake/first direction=input": 22,
            "edge_tokens_total model=fake/second direction=output": 7,
            "gen_ai_client_token_usage_count gen_ai_token_type=input": 3,
            "gen_ai_client_operation_duration_seconds_count gen_ai_operation_name=chat": 3,
            "edge_request_duration_seconds_count stream=true": 1,
            "edge_request_duration_seconds_count stream=false": 2,
            "edge_ttfb_seconds_count": 1,
            "edge_upstream_ttft_seconds_count": 1,
            "edge_added_seconds_count": 3,
            "edge_router_seconds_count result=decided": 3,
            "edge_previous_outcome_total outcome=none purpose=chat": 3,
        },
    )


async def test_what_is_refused_is_counted_by_its_status(http, watched):
    since, url = Since(watched.edge), watched.system.url
    assert await ask(http, url, model="unheard-of") == 404
    assert await ask(http, url, messages=7) == 400
    async with http.post(f"{url}/v1/messages", data=b"{}", headers={"content-type": "text/plain"}) as answer:
        assert answer.status == 400
    counted(
        since,
        **{
            "edge_requests_total route=chat status=404 model_class=profile": 1,
            "edge_requests_total route=chat status=400 model_class=none": 1,
            "edge_requests_total route=messages status=400 model_class=none": 1,
            "edge_added_seconds_count": 0,
        },
    )


async def test_a_stream_that_breaks_off_and_a_client_that_leaves_are_told_apart(http, watched):
    since, url = Since(watched.edge), watched.system.url
    watched.system.provider.script["first"] = fake.cut_after(2, abort=False)
    assert await ask(http, url, stream=True) == 200
    counted(since, **{"edge_stream_end_total reason=truncated": 1, "edge_replies_total outcome=provider_failed": 1})
    watched.system.provider.script["first"] = fake.silence
    watched.system.provider.seen.clear()
    asking = asyncio.create_task(ask(http, url))
    await asyncio.to_thread(wait_until, lambda: bool(watched.system.provider.seen), "the provider asked")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    counted(since, **{"edge_requests_total status=499": 1, "edge_replies_total outcome=interrupted": 1})


async def test_second_attempts_and_models_left_alone_are_shown(http, portkey, edge_config, watched):
    # An edge of its own, for what it has seen of its models.
    url, metrics, edge = watched_edge(watched.system.router_port, edge_config, portkey, EDGE_CIRCUIT_FAILURES="3")
    try:
        since = Since(metrics)
        watched.system.provider.script["first"] = fake.refuse(500)
        assert [await ask(http, url) for _ in range(3)] == [200] * 3
        counted(
            since,
            **{
                "edge_retries_total layer=portkey outcome=served": 3,
                "edge_replies_total model=fake/second outcome=completed": 3,
                "edge_breaker_state target=fake/first": 2,
            },
        )
        watched.system.provider.script["second"] = fake.refuse(500)
        assert await ask(http, url) == 503
        counted(since, **{"edge_requests_total status=503": 1, "edge_replies_total outcome=provider_failed": 1})
    finally:
        edge.stop()


async def test_without_a_router_it_is_said_how_often_and_why(http, portkey, edge_config, watched):
    url, metrics, edge = watched_edge(free_port(), edge_config, portkey)
    try:
        since = Since(metrics)
        assert await ask(http, url) == 200
        counted(
            since,
            **{
                "edge_router_fallback_total": 1,
                "edge_router_seconds_count result=fallback": 1,
                # The catalogue is not known, but the default order's models are.
                "edge_replies_total model=fake/second outcome=completed": 1,
            },
        )
        assert Scrape(metrics)("edge_router_fallback_total", reason="unusable") == 0
    finally:
        edge.stop()


async def test_what_is_shed_counts_as_a_request(http, portkey, edge_config, watched):
    url, metrics, edge = watched_edge(watched.system.router_port, edge_config, portkey, EDGE_MAX_REQUESTS="1")
    try:
        since = Since(metrics)
        watched.system.provider.script["first"] = fake.silence
        waiting = asyncio.create_task(ask(http, url))
        await asyncio.to_thread(counted, since, **{"edge_inflight kind=upstream": 1, "edge_inflight kind=request": 1})
        assert [await ask(http, url), await ask(http, url)] == [503, 503]
        counted(since, **{"edge_shed_total reason=overloaded": 2, "edge_requests_total route=other status=503": 2})
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(counted, since, **{"edge_inflight kind=request": 0, "edge_inflight kind=upstream": 0})
    finally:
        edge.stop()


async def test_nothing_that_a_client_makes_up_becomes_a_series(http, watched):
    """Models, profiles, purposes, paths, methods, sessions and headers, all odd: and still at most 500 series."""
    url, dice = watched.system.url, random.Random(7)

    def odd() -> str:
        return f"{ODD}-{dice.randrange(10**9)}"

    async def one(number: int) -> None:
        model = dice.choice([odd(), f"fake/{odd()}", f"{odd()}/{odd()}", "auto", "auto-weak", "fake/first", ""])
        path = dice.choice(["/v1/chat/completions", f"/s/{odd()}/v1/chat/completions", "/v1/messages", "/v1/responses"])
        path = dice.choice(
            [path, path, "/v1/completions", "/v1/embeddings", f"/v1/{odd()}", f"/{odd()}?session={odd()}"]
        )
        words = dice.choice(
            ["Generate a one-line commit message", "*SEARCH/REPLACE block*", "Briefly summarize", odd()]
        )
        messages = [{"role": "system", "content": words}, {"role": dice.choice(["user", odd()]), "content": odd()}]
        body = {"model": model, "messages": messages, "stream": dice.random() < 0.5, "input": odd(), "prompt": odd()}
        headers = {"authorization": f"Bearer {odd()}", "x-session-id": odd(), odd(): odd(), "openai-project": odd()}
        method = dice.choice(["POST"] * 8 + ["GET", "PUT", "DELETE"])
        async with http.request(method, url + path, json=body | {"max_tokens": 16}, headers=headers) as answer:
            await answer.read()

    for start in range(0, 400, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))
    for port in (watched.edge, watched.router):
        found = Scrape(port)
        assert ODD not in found.text
        assert len(found.series) <= 500
    assert Scrape(watched.edge)("edge_replies_total", model="other") > 0


async def test_scrapers_that_are_silent_keep_nobody_waiting(http, watched):
    with ExitStack() as silent:
        for _ in range(40):
            silent.enter_context(socket.create_connection(("127.0.0.1", watched.edge), timeout=NEVER))
        assert await ask(http, watched.system.url) == 200
    wait_until(lambda: scrapes(watched.edge), "scrapers are served again")


def scrapes(port: int) -> bool:
    try:
        return bool(Scrape(port).series)
    except OSError:
        return False


def test_there_are_metrics_and_nothing_else_on_their_port(watched):
    for port in (watched.edge, watched.router):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=NEVER)
        for method, path, status in (("GET", "/v1/models", 404), ("GET", "/", 404), ("POST", "/metrics", 501)):
            connection.request(method, path, body=b"")
            answer = connection.getresponse()
            text = answer.read() + str(answer.headers).encode()
            assert answer.status == status
            assert b"Python" not in text
        connection.close()


async def test_a_full_edge_lives_and_is_not_ready(http, portkey, edge_config, watched):
    url, metrics, edge = watched_edge(watched.system.router_port, edge_config, portkey, EDGE_MAX_CONNECTIONS="1")
    try:
        # The start has asked whether it is ready, over a connection that may not be gone yet.
        held = hold(url)
        async with aiohttp.ClientSession() as another, another.get(url + "/readyz") as refused:
            assert refused.status == 503
        assert health(metrics) == (200, b"ok\n")
        held.close()
    finally:
        edge.stop()


def hold(url: str) -> socket.socket:
    """The one connection that an edge takes, answered and kept."""
    held: list[socket.socket] = []

    def taken() -> bool:
        client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20)
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n")
        if client.recv(65536).startswith(b"HTTP/1.1 200"):
            held.append(client)
        else:
            client.close()
        return bool(held)

    wait_until(taken, "the one connection", 20)
    return held[0]


def health(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("stood_still", "said"),
    [(0.3, (200, b"ok\n")), (61.2, (503, b"The event loop has stood still for 61 s.\n"))],
)
def test_whoever_would_restart_it_is_told_that_its_event_loop_stands_still(stood_still, said):
    port = free_port()
    server = MetricsServer(f"127.0.0.1:{port}", CollectorRegistry())
    server.start(lambda: None, lambda: stood_still)
    try:
        assert health(port) == said
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("bounded", [edge_gateway.metrics.bounded.Bounded, router_service.metrics.bounded.Bounded])
def test_of_too_many_series_the_later_ones_are_counted_together(bounded):
    registry = CollectorRegistry()
    replies = bounded(Counter("replies", "Replies.", ("model", "outcome"), registry=registry), 2)
    for model in ("one", "two", "three", "four", "one"):
        replies.of(model, "completed").inc()
    shown = series_of(generate_latest(registry).decode()).items()
    counted = {
        tuple(sorted(dict(labels).values())): value for (name, labels), value in shown if name == "replies_total"
    }
    assert counted == {
        ("completed", "one"): 2,
        ("completed", "two"): 1,
        ("other", "other"): 2,
    }


@pytest.mark.parametrize("module", ["edge_gateway.app", "router_service.wiring"])
def test_who_shows_no_metrics_does_not_pay_for_the_library(module):
    program = f"import sys, {module}; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
