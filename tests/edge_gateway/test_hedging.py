"""A router that stays silent is not waited for: the edge asks once more, after as long as its setting says."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from tests.conftest import System, edge_beside
from tests.edge_gateway.test_completion import ask
from tests.faults.wrong_router import WrongRouter, choose


class Forgetful(WrongRouter):
    """Keeps the first question for itself for so many seconds, as a router that froze does, and answers later ones."""

    silent = math.inf

    async def select(self, request, context) -> bytes:
        self.calls += 1
        if self.calls > 1:
            return await choose("fake/second")(request, context)
        if self.silent == math.inf:
            await asyncio.Event().wait()
        await asyncio.sleep(self.silent)
        return await choose("fake/first")(request, context)


@pytest.fixture
def forgetful() -> Iterator[Forgetful]:
    router = Forgetful()
    yield router
    router.close()


@pytest.mark.parametrize(("hedge", "silent", "model"), [("0.1", math.inf, "fake/second"), ("60", 1.0, "fake/first")])
async def test_what_a_router_keeps_for_itself_is_asked_once_more_after_the_settings_time(
    http, system: System, portkey, edge_config, forgetful: Forgetful, hedge: str, silent: float, model: str
):
    forgetful.silent = silent
    # As much time as there may be: only what is asked once more is answered before.
    settings = {"EDGE_ROUTER_HEDGE_SECONDS": hedge, "EDGE_ROUTER_DEADLINE_SECONDS": "60"}
    router = f"ipv4:127.0.0.1:{forgetful.port}"
    with edge_beside(system, portkey, edge_config, EDGE_ROUTER=router, **settings) as edge:
        _, headers, _ = await ask(http, edge)
    assert (headers["x-router-decision-id"], headers["x-router-model"]) == ("dec_wrong", model)
