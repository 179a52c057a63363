"""How long an edge gives a router that stands still is what its settings say."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from tests.conftest import System, edge_beside, router_beside
from tests.edge_gateway.test_completion import ask

# Longer than a router as shipped is given to answer a ping, with the second between two pings.
STILL = 3.0
# Before the deadline of a minute, by far.
SOONER = 40.0


@pytest.fixture
def routed(system: System, router_config) -> Iterator[System]:
    with router_beside(system, router_config) as own:
        yield own


async def test_a_router_that_stands_still_for_less_than_a_ping_may_take_decides_when_it_goes_on(
    http, routed: System, portkey, edge_config
):
    with edge_beside(routed, portkey, edge_config, EDGE_ROUTER_PING_SECONDS="20") as edge:
        assert (await ask(http, edge))[1]["x-router-source"] == "local"
        routed.router.popen.send_signal(signal.SIGSTOP)
        asking = asyncio.create_task(ask(http, edge))
        await asyncio.sleep(STILL)  # how long it stands still is what is tested
        assert not asking.done()
        routed.router.popen.send_signal(signal.SIGCONT)
        assert (await asking)[1]["x-router-source"] == "local"


async def test_a_router_that_answers_no_ping_in_time_is_done_without(http, routed: System, portkey, edge_config):
    env = {"EDGE_ROUTER_PING_SECONDS": "", "EDGE_ROUTER_DEADLINE_SECONDS": "60"}
    with edge_beside(routed, portkey, edge_config, **env) as edge:
        routed.router.popen.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(SOONER):
                assert (await ask(http, edge))[1]["x-router-source"] == "edge_default"
        finally:
            routed.router.popen.send_signal(signal.SIGCONT)


async def test_readyz_says_whether_the_router_answered_when_it_was_asked_last(
    http, routed: System, portkey, edge_config
):
    with edge_beside(routed, portkey, edge_config) as edge:

        async def decides() -> str:
            async with http.get(edge.url + "/readyz") as answer:
                assert answer.status == 200
                return (await answer.json())["decisions"]

        assert (await ask(http, edge))[1]["x-router-source"] == "local"
        assert await decides() == "router"
        assert (await ask(http, edge, model="fake/unheard-of"))[1]["x-router-source"] == "requested"
        assert await decides() == "router"
        routed.router.stop(signal.SIGKILL)
        assert (await ask(http, edge))[1]["x-router-source"] == "edge_default"
        assert await decides() == "default order until the router answers"
