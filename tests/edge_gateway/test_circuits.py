"""Models that fail are left alone, and second attempts are few: for a while, for all requests, whatever the client does."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import aiohttp
import pytest

from edge_gateway.circuits import AT_ONCE, LONGEST, SHORTEST, Circuits
from tests.clock import Clock
from tests.conftest import System, edge_beside, router_beside
from tests.fakes import provider as fake
from tests.fakes.behaviours import stream
from tests.processes import NEVER, wait_until
from tests.redis_server import RedisServer

BODY = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuits(clock: Clock) -> Circuits:
    return Circuits(clock, failures=3, share=0.1)


def test_a_model_is_left_alone_after_failures_in_a_row_and_looked_at_by_one_request_later(circuits, clock):
    for _ in range(2):
        circuits.failed("a")
    assert circuits.closed(["a", "b"]) == ("a", "b")
    circuits.failed("a")
    assert circuits.closed(["a", "b"]) == ("b",)
    assert circuits.wait(["a"]) == SHORTEST
    clock.now += SHORTEST
    assert circuits.closed(["a", "b"]) == ("a", "b")
    circuits.tried("a")
    assert circuits.closed(["a", "b"]) == ("b",)


def test_a_request_that_goes_elsewhere_keeps_no_other_from_looking(circuits, clock):
    for _ in range(3):
        circuits.failed("a")
    clock.now += SHORTEST
    assert circuits.closed(["b", "a"]) == ("b", "a")
    circuits.tried("b")
    assert circuits.closed(["a"]) == ("a",)


def test_a_failed_look_doubles_the_pause_up_to_its_limit_and_success_ends_it(circuits, clock):
    for _ in range(3):
        circuits.failed("a")
    pauses = []
    for _ in range(6):
        clock.now += circuits.wait(["a"])
        assert circuits.closed(["a"]) == ("a",)
        circuits.failed("a")
        pauses.append(circuits.wait(["a"]))
    assert pauses == [10, 20, 40, LONGEST, LONGEST, LONGEST]
    clock.now += circuits.wait(["a"])
    circuits.succeeded("a")
    assert circuits.closed(["a"]) == ("a",)
    assert circuits.wait(["a"]) == 0


def test_an_answer_that_was_under_way_when_a_model_was_left_alone_does_not_end_that(circuits, clock):
    circuits.failed("a", 30)
    circuits.rest("b", 30)
    for model in ("a", "b"):
        circuits.succeeded(model)
    assert circuits.closed(["a", "b"]) == ()
    clock.now += 30
    for model in ("a", "b"):
        circuits.succeeded(model)
    assert circuits.wait(["a", "b"]) == 0
    assert circuits.closed(["a", "b"]) == ("a", "b")


def test_requests_that_fail_at_once_have_a_model_left_alone_for_no_longer_than_one_after_the_other(circuits, clock):
    for _ in range(50):
        circuits.failed("a")
    assert circuits.wait(["a"]) == SHORTEST
    clock.now += SHORTEST
    assert circuits.closed(["a"]) == ("a",)


def test_a_success_between_failures_keeps_a_model(circuits):
    for _ in range(5):
        circuits.failed("a")
        circuits.failed("a")
        circuits.succeeded("a")
    assert circuits.closed(["a"]) == ("a",)


def test_a_model_that_asks_for_patience_gets_it_at_once_and_not_for_ever(circuits, clock):
    circuits.failed("a", patience=7)
    assert circuits.closed(["a"]) == ()
    assert circuits.wait(["a"]) == 7
    clock.now += 7
    assert circuits.closed(["a"]) == ("a",)
    circuits.failed("a", patience=86_400)
    assert circuits.wait(["a"]) == 120


def test_second_attempts_are_a_share_of_all_requests(circuits):
    allowed = 0
    for _ in range(1000):
        if circuits.request() > 0:
            circuits.spent(1)
            allowed += 1
    assert allowed <= AT_ONCE + 0.1 * 1000 + 1


def test_circuits_that_are_switched_off_stay_closed(clock):
    circuits = Circuits(clock, failures=0, share=0.1)
    for _ in range(100):
        circuits.failed("a", patience=60)
    assert circuits.closed(["a"]) == ("a",)


# The settings as they ship.
SHIPPED = {"EDGE_CIRCUIT_FAILURES": "3", "EDGE_RETRY_SHARE": "0.1"}
PATH = "/v1/chat/completions"


@pytest.fixture
def hearing(system: System, router_config) -> Iterator[System]:
    """A router that has heard of no failure yet."""
    with router_beside(system, router_config) as routed:
        yield routed


@pytest.fixture
def fresh(hearing: System, portkey: int, edge_config) -> Iterator[str]:
    """The address of an edge that has seen nothing yet."""
    with edge_beside(hearing, portkey, edge_config, **SHIPPED) as edge:
        yield edge.url + PATH


async def post(http: aiohttp.ClientSession, url: str, **body) -> tuple[int, Mapping[str, str], dict]:
    async with http.post(url, json={**BODY, **body}) as answer:
        return answer.status, answer.headers, json.loads(await answer.read())


async def test_during_a_total_outage_the_providers_hear_of_hardly_more_requests_than_clients_send(http, system, fresh):
    system.provider.script["first"] = system.provider.script["second"] = fake.refuse(503)
    crowd = asyncio.Semaphore(16)

    async def one() -> int:
        async with crowd:
            status, headers, _ = await post(http, fresh)
            assert int(headers["retry-after"]) >= 1
            return status

    statuses = await asyncio.gather(*(one() for _ in range(300)))
    assert set(statuses) == {503}
    assert len(system.provider.seen) <= 1.1 * 300


async def test_a_model_that_keeps_failing_is_passed_over_and_the_others_serve(http, system, fresh):
    system.provider.script["first"] = fake.refuse(500)
    for _ in range(3):
        status, _, _ = await post(http, fresh)
        assert status == 200
    system.provider.seen.clear()
    status, headers, _ = await post(http, fresh)
    assert (status, headers["x-served-model"]) == (200, "fake/second")
    assert system.provider.models_tried() == ["second"]


async def test_requests_that_a_provider_finds_wrong_within_its_stream_have_no_model_left_alone(http, system, fresh):
    told = b'data: {"error":{"message":"bad image","type":"invalid_request_error"}}\n\n'

    async def find_wrong(request, body):
        return await stream(request, [told])

    system.provider.script["second"] = find_wrong
    for _ in range(4):
        status, _, _ = await post(http, fresh, model="fake/second", stream=True)
        assert status == 400


async def test_a_limit_that_a_provider_names_is_kept_by_all_requests(http, system, fresh):
    system.provider.script["second"] = fake.refuse(429, "slow down", retry_after="30")
    status, headers, _ = await post(http, fresh, model="fake/second")
    assert (status, headers["retry-after"]) == (429, "30")
    seen = len(system.provider.seen)
    status, headers, answer = await post(http, fresh, model="fake/second")
    assert status == 503
    assert answer["error"]["code"] == "models_resting"
    assert 20 <= int(headers["retry-after"]) <= 30
    assert len(system.provider.seen) == seen


async def test_edges_that_share_a_redis_leave_a_model_alone_together(http, hearing, portkey, edge_config):
    redis = RedisServer()
    with ExitStack() as edges:
        edges.callback(redis.close)
        settings = {**SHIPPED, "EDGE_REDIS_URL": redis.url}
        both = [edges.enter_context(edge_beside(hearing, portkey, edge_config, **settings)) for _ in range(2)]
        one, two = (edge.url + PATH for edge in both)
        wait_until(
            lambda: redis.command("PUBSUB", "NUMSUB", "edge:circuits").endswith(b":2\r\n"), "both edges to listen"
        )
        hearing.provider.script["second"] = fake.refuse(429, "slow down", retry_after="30")
        assert (await post(http, one, model="fake/second"))[0] == 429
        # By itself the other edge would find nothing wrong any more.
        hearing.provider.script.clear()
        async with asyncio.timeout(NEVER):
            while (await post(http, two, model="fake/second"))[0] != 503:
                pass
        seen = len(hearing.provider.seen)
        _, headers, answer = await post(http, two, model="fake/second")
        assert answer["error"]["code"] == "models_resting"
        assert 20 <= int(headers["retry-after"]) <= 30
        assert len(hearing.provider.seen) == seen
