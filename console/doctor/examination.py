"""Gathers the facts side by side, and has them judged in order: nothing here decides how bad anything is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from console.doctor.aider import look_at_aider
from console.doctor.facts import Keys
from console.doctor.findings import Finding
from console.doctor.judge_aider import judge_aider
from console.doctor.judge_machine import judge_machine
from console.doctor.judge_settings import judge_keys, judge_settings
from console.doctor.judge_system import System, judge_system
from console.doctor.key_form import wrong_form
from console.doctor.machine import Watchmaker, look_at_machine
from console.doctor.system import look_at_edge, look_at_gateway, look_at_port, look_at_store
from console.options import CLIENT_KEY, USUAL_ROUTER, Setup, edge_address
from console.router.connection import CREDENTIALS
from console.router.probe import probe
from console.secrecy import hide
from console.settings_check import Loaded, load, read_env_file

NOT_DIAMOND = ("NOT_DIAMOND_API_KEY", "NOTDIAMOND_API_KEY")
NOT_DIAMOND_SAYS = "https://api.notdiamond.ai"
STORES = ("EDGE_REDIS_URL", "ROUTER_REDIS_URL", "ROUTER_LEDGER_URL")
AT_ONCE = 8
USUAL_PORTKEY = "http://127.0.0.1:8787/v1"

Told = TypeVar("Told")
Step = Callable[[str], None]
Clocks = tuple[tuple[str, float], ...]


def examine(setup: Setup, *, online: bool, step: Step) -> list[Finding]:
    """Every finding, in order; `step` hears what has been looked at."""
    watchmaker = Watchmaker()
    environment = setup.environment
    with ThreadPoolExecutor(AT_ONCE) as pool:
        aider = _begin(pool, step, "Aider", lambda: look_at_aider(Path.cwd(), setup.shell))
        loaded = _begin(pool, step, "the settings", lambda: load(environment)).result()
        seen = loaded.values
        keys = _begin(pool, step, "keys", lambda: _keys(loaded, environment, online=online))
        system, clocks = _look_at_system(pool, step, seen, environment, online=online)
        clock = watchmaker.measured(clocks)
        machine = look_at_machine(str(seen.get("ledger_url", "")), int(seen.get("max_connections", 0)), clock)
        found = [
            *judge_machine(machine, seen.get("node")),
            *judge_settings(read_env_file(setup.env_file), loaded, setup.shell, environment),
            *judge_keys(keys.result(), loaded),
            *judge_system(system),
            *judge_aider(aider.result(), system.edge.address),
        ]
    return _without_secrets(found, environment, loaded)


def _look_at_system(
    pool: ThreadPoolExecutor, step: Step, seen: Mapping[str, Any], environment: Mapping[str, str], *, online: bool
) -> tuple[System, Clocks]:
    """All parts at once; where the settings cannot be read, where they usually are."""
    router_at = str(seen.get("router") or environment.get("EDGE_ROUTER") or USUAL_ROUTER)
    edge_at = str(seen.get("edge") or edge_address("", environment))
    portkey_at = str(seen.get("portkey") or USUAL_PORTKEY)
    key = environment.get(CLIENT_KEY, "")
    stores = [
        _begin(pool, step, name, partial(look_at_store, name, environment[name]))
        for name in STORES
        if "://" in environment.get(name, "") and not environment[name].startswith("sqlite")
    ]
    ports = [
        _begin(pool, step, one["variable"], partial(look_at_port, one, environment))
        for one in seen.get("addresses", ())
    ]
    router = _begin(pool, step, "the router", lambda: probe(router_at, environment))
    edge = _begin(pool, step, "the edge", lambda: look_at_edge(edge_at, key))
    hosted = bool(seen.get("hosted"))
    portkey = _begin(pool, step, "Portkey", lambda: look_at_gateway(portkey_at, hosted=hosted, online=online))
    (edge_seen, edge_clock), (gateway_seen, gateway_clock) = edge.result(), portkey.result()
    system = System(
        ports=[one.result() for one in ports],
        router=router.result(),
        own_router=bool(seen.get("own_router")),
        has_ca=bool(environment.get(CREDENTIALS[0])),
        edge=edge_seen,
        has_key=bool(key),
        gateway=gateway_seen,
        own_gateway=bool(seen.get("own_gateway")),
        stores=[one.result() for one in stores],
    )
    return system, (*edge_clock, *gateway_clock)


def check_settings(setup: Setup) -> list[Finding]:
    """The findings on the settings alone; nobody is called."""
    loaded = load(setup.environment)
    file = read_env_file(setup.env_file)
    keys = _keys(loaded, setup.environment, online=False)
    found = [*judge_settings(file, loaded, setup.shell, setup.environment), *judge_keys(keys, loaded)]
    return _without_secrets(found, setup.environment, loaded)


def _begin(pool: ThreadPoolExecutor, step: Step, what: str, look: Callable[[], Told]) -> Future[Told]:
    future = pool.submit(look)
    future.add_done_callback(lambda _: step(what))
    return future


def _keys(loaded: Loaded, environment: Mapping[str, str], *, online: bool) -> Keys:
    """The forms of all keys that are set, by variable; nothing of their values."""
    variables = [name for name, provider in loaded.values.get("key_variables", {}).items() if provider]
    if loaded.values.get("hosted"):
        variables.append("PORTKEY_API_KEY")
    forms = {name: wrong_form(name, environment[name]) for name in variables if environment.get(name)}
    own = next((environment[name] for name in NOT_DIAMOND if environment.get(name)), "")
    if not own:
        return Keys(forms)
    asked = _ask_not_diamond(own, environment) if online else None
    return Keys(forms, wrong_form(NOT_DIAMOND[0], own), asked)


def _ask_not_diamond(key: str, environment: Mapping[str, str]) -> str:
    """What is wrong with Not Diamond or the key for it, by asking for its models; empty when it answers."""
    from console.edge import get  # noqa: PLC0415

    base = environment.get("NOTDIAMOND_BASE_URL") or NOT_DIAMOND_SAYS
    status = get(f"{base.rstrip('/')}/v2/models", {"Authorization": f"Bearer {key}"}).status
    if not status:
        return "does not answer"
    refused, good = (401, 403), 200
    if status in refused:
        return f"refuses the key ({status})"
    return "" if status == good else f"answers {status}"


def _without_secrets(found: Iterable[Finding], environment: Mapping[str, str], loaded: Loaded) -> list[Finding]:
    also = [name for name, provider in loaded.values.get("key_variables", {}).items() if provider]
    return [
        replace(one, text=hide(one.text, environment, also), advice=hide(one.advice, environment, also))
        for one in found
    ]
