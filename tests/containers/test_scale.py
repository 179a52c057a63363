"""Routers and edges scaled, rolled and killed, Redis restarted, under load: clients see nothing of it, and replicas share."""

from typing import Any

import pytest

from tests.containers import engine
from tests.containers.scale import table
from tests.containers.scale.changes import CHANGES
from tests.containers.scale.run import RATE, run

pytestmark = [pytest.mark.containers, pytest.mark.scale, pytest.mark.timeout(1800)]
# How many routers and edges are there after each change.
REPLICAS = {
    "routers 3 → 1": (1, 2),
    "routers 1 → 3": (3, 2),
    "routers rolled, one at a time": (3, 2),
    "routers 3 → 5": (5, 2),
    "a router killed": (4, 2),
    "edges rolled, drained": (4, 2),
    "Redis restarted, empty": (4, 2),
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    try:
        result = run()
    except engine.NoEngine as error:
        pytest.skip(str(error))
    print(f"\n{table.markdown(result['rows'])}")
    return result


def test_no_client_sees_an_error_whatever_is_changed(found):
    assert [(row["change"], row["when"], row["problems"]) for row in found["rows"] if row["problems"]] == []
    assert found["errors"] == 0
    assert found["requests"] > RATE * 60


def test_after_each_change_every_replica_that_is_there_has_its_share(found):
    after = {row["change"]: row for row in found["rows"] if row["when"] == "after"}
    assert set(after) == set(REPLICAS) == {name for name, _ in CHANGES}
    for change, (routers, edges) in REPLICAS.items():
        row = after[change]
        for shares, count in ((row["routers"], routers), (row["edges"], edges)):
            assert len(shares) == count, (change, shares)
            # A tenth of an even share at least: connections last 4 s here and are looked at for 6, several questions travel
            # in one call, and one of four routers was seen with a quarter of its share.
            assert min(shares.values()) >= sum(shares.values()) / count / 10, (change, shares)


def test_a_router_decides_nearly_all_of_them_throughout(found):
    assert found["default_order"] <= found["requests"] / 100


def test_the_shared_ledger_holds_every_decision_but_what_a_killed_router_had_not_yet_written(found):
    """At most what one of five decided in 200 ms; others lose nothing."""
    assert found["not_in_the_ledger"] <= RATE
