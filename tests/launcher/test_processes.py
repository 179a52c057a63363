"""Which process gets which key."""

from pathlib import Path

import pytest

from launcher.processes import Machine, Process, give_up_taken, plan
from launcher.settings import NOT_DIAMOND_KEYS, PROVIDER_KEYS, parse_settings

MACHINE = Machine(root=Path("/house"), python="python", node="node")


def planned(**environment: str) -> dict[str, Process]:
    return {process.name: process for process in plan(parse_settings(environment), MACHINE)}


def keys_in(process: Process) -> set[str]:
    return {name for name, value in process.environment.items() if "secret" in value}


def test_a_key_goes_only_where_it_is_needed() -> None:
    every_key = {name: f"secret {name}" for name in (*PROVIDER_KEYS, *NOT_DIAMOND_KEYS, "MY_TOKEN")}

    processes = planned(**every_key)

    assert keys_in(processes["router"]) == set(NOT_DIAMOND_KEYS)
    assert keys_in(processes["portkey"]) == set()
    assert keys_in(processes["edge"]) == {*PROVIDER_KEYS, "MY_TOKEN"}


def test_the_edge_has_a_page_on_this_machine_unless_it_is_switched_off() -> None:
    assert planned()["edge"].environment["EDGE_PAGE_LISTEN"] == "127.0.0.1:8081"
    assert planned(EDGE_PAGE_LISTEN="off")["edge"].environment["EDGE_PAGE_LISTEN"] == "off"
    assert shown_page(free=False) is None
    assert shown_page(free=False, EDGE_PAGE_LISTEN="127.0.0.1:9000") == "127.0.0.1:9000"


def shown_page(free: bool, **environment: str) -> str | None:
    settings = give_up_taken(parse_settings(environment), MACHINE, lambda _: free)
    return next(p for p in plan(settings, MACHINE) if p.name == "edge").environment.get("EDGE_PAGE_LISTEN")


def test_the_demo_models_get_no_key() -> None:
    processes = planned(NOT_DIAMOND_API_KEY="secret", MY_TOKEN="secret", DEMO_PACE="fast")

    assert keys_in(processes["demo"]) == set()
    assert processes["demo"].environment["DEMO_PACE"] == "fast"


def test_the_gateway_is_told_its_number_of_workers_and_no_key() -> None:
    processes = planned(PORTKEY_WORKERS="3", PORTKEY_UPSTREAM_HEADERS_TIMEOUT_S="5", PORTKEY_SECRET="secret")

    assert processes["portkey"].environment["PORTKEY_WORKERS"] == "3"
    assert keys_in(processes["portkey"]) == set()


@pytest.mark.parametrize("key", PROVIDER_KEYS)
def test_any_real_provider_replaces_the_demo_models(key: str) -> None:
    assert list(planned(**{key: "secret"})) == ["router", "portkey", "edge"]


def test_the_gateway_started_here_is_not_replaced_by_its_own_address() -> None:
    processes = planned(PORTKEY_BASE_URL="http://127.0.0.1:8787/v1", EDGE_ROUTER="dns:///127.0.0.1:50051")

    assert list(processes) == ["router", "portkey", "demo", "edge"]


def test_the_demo_models_are_out_of_the_reach_of_hosted_portkey() -> None:
    assert list(planned(PORTKEY_API_KEY="secret")) == ["router", "edge"]


def test_the_gateway_listens_where_it_is_told() -> None:
    portkey = planned(PORTKEY_LISTEN="[::1]:9000")["portkey"]

    assert portkey.command == (
        "node",
        "--import",
        "/house/portkey/preload.mjs",
        "/house/portkey/node_modules/@portkey-ai/gateway/build/start-server.js",
        "--headless",
        "--port=9000",
    )
    assert portkey.environment["PORTKEY_HOST"] == "::1"


def shown(free: bool = True, **environment: str) -> tuple[str | None, str | None]:
    """Where the edge's and the router's metrics are to be shown."""
    settings = give_up_taken(parse_settings(environment), MACHINE, lambda _: free)
    processes = {process.name: process.environment for process in plan(settings, MACHINE)}
    return processes["edge"].get("EDGE_METRICS_LISTEN"), processes["router"].get("ROUTER_METRICS_LISTEN")


def test_metrics_are_shown_on_this_machine_unless_that_is_set_otherwise() -> None:
    assert shown() == ("127.0.0.1:9464", "127.0.0.1:9465")
    assert shown(EDGE_METRICS_LISTEN="[::1]:9000") == ("[::1]:9000", "127.0.0.1:9465")
    # The services take the word for what it says.
    assert shown(EDGE_METRICS_LISTEN="off", ROUTER_METRICS_LISTEN="") == ("off", "")


def test_metrics_that_nobody_asked_for_give_way_to_whoever_is_there_first() -> None:
    assert shown(free=False) == (None, None)
    assert shown(free=False, EDGE_METRICS_LISTEN="127.0.0.1:9000") == ("127.0.0.1:9000", None)
    assert shown(EDGE_LISTEN="127.0.0.1:9465", DEMO_LISTEN="127.0.0.1:9464") == (None, None)


def test_a_proxy_for_the_internet_is_not_used_on_this_machine() -> None:
    processes = planned(http_proxy="http://proxy:3128", NO_PROXY="corp.example")

    for name in ("router", "edge"):
        assert processes[name].environment["no_proxy"] == "corp.example,127.0.0.1,localhost,::1"
