"""The page's own channel to the router."""

from pathlib import Path

import pytest

from edge_gateway.page.calls import Calls, RouterAway, Watching
from edge_gateway.page.views import Row
from tests.page.conftest import House, page_house


@pytest.fixture(scope="module")
def house(router_config: Path, edge_config: Path):
    with page_house(router_config, edge_config) as running:
        yield running


async def test_a_watch_whose_channel_is_renewed_ends_as_one_whose_router_is_gone(house: House):
    """Whoever watches watches again then; a cancelled task would not."""
    calls = Calls(f"dns:///127.0.0.1:{house.router_port}", None, "")
    events = calls.watch()
    assert isinstance(await anext(events), Watching)
    house.decide(1)
    assert isinstance(await anext(events), Row)
    await calls.renew(None)
    with pytest.raises(RouterAway):
        await anext(events)
    assert await calls.profiles()
    await calls.close()
