"""The way to the router: names that change or are not told, and certificates that are wrong or replaced."""

import shutil
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Pair, authority, issue
from tests.conftest import System
from tests.faults.asking import load, until
from tests.faults.fault_proxy import FaultProxy
from tests.faults.name_server import NameServer
from tests.faults.provider_answers import told
from tests.faults.router_rows import decided, served_without
from tests.faults.row import Seen
from tests.faults.stage import DEADLINE, Stage
from tests.processes import NEVER, QUIET_ROUTER, Process, free_port, log_events, python, start_router, wait_until

NAME = "router.test"
# How soon a router asks its clients to look for others.
AGE = {"ROUTER_MAX_CONNECTION_AGE_SECONDS": "1"}
FIRST_TLS_BYTE = b"\x16"


@contextmanager
def named(stage: Stage, addresses: list[str], *, silent: bool = False) -> Iterator[tuple[NameServer, int, System]]:
    """An edge that asks a name server of its own for the router's addresses; the router's port."""
    names, port = NameServer(), free_port()
    names.addresses[NAME] = addresses
    names.silent = silent
    try:
        target = f"dns://127.0.0.1:{names.port}/{NAME}:{port}"
        # Where no name is ever told, all that ends the waiting is the deadline.
        deadline = DEADLINE if silent else {}
        with stage.edge(EDGE_ROUTER=target, EDGE_TRUSTED_NETWORK="true", **deadline) as system:
            yield names, port, system
    finally:
        names.close()


def start_at(stage: Stage, address: str, port: int) -> Process:
    """A replica at one of the machine's many loopback addresses."""
    env = {"ROUTER_LISTEN": f"{address}:{port}", "ROUTER_CONFIG": str(stage.router_config), **AGE}
    process = python("router_service", {**QUIET_ROUTER, **env})
    return process.ready_when(lambda: bool(log_events(process, "listening")))


async def more_replicas(stage: Stage) -> Seen:
    addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    with named(stage, addresses[:1]) as (names, port, system):
        replicas = [start_at(stage, address, port) for address in addresses]
        try:
            await decided(system)
            async with load(system.url, clients=4) as running:
                names.addresses[NAME] = addresses
                await until(lambda: all(log_events(one, "decided") for one in replicas), "each replica asked")
                before = [len(log_events(one, "decided")) for one in replicas]
                await running.reaches(150)
                after = [len(log_events(one, "decided")) for one in replicas]
        finally:
            for one in replicas:
                one.stop()
    shares = [late - early for early, late in zip(before, after, strict=True)]
    assert min(shares) >= 0.2 * sum(shares), f"the replicas' shares are {shares}"
    assert (running.failed(), running.without_router()) == ([], [])
    return Seen("200", running.slowest())


async def no_names_any_more(stage: Stage) -> Seen:
    """The addresses that are known stay in use, though each connection ends after a second."""
    with named(stage, ["127.0.0.1"]) as (names, port, system):
        replica = start_at(stage, "127.0.0.1", port)
        try:
            await decided(system)
            names.silent = True
            asked = names.asked
            async with load(system.url, clients=2) as running:
                await until(lambda: names.asked > asked, "a look for the addresses")
                await running.reaches(60)
        finally:
            replica.stop()
    assert (running.failed(), running.without_router()) == ([], [])
    return Seen("200", running.slowest())


async def no_names_at_the_start(stage: Stage) -> Seen:
    with named(stage, ["127.0.0.1"], silent=True) as (names, port, system):
        replica = start_at(stage, "127.0.0.1", port)
        try:
            answer = await served_without(stage, system)
            wait_until(lambda: "default order" in _readiness(system), "readiness says so")
            names.silent = False
            await decided(system)
        finally:
            replica.stop()
    return told(answer)


def _readiness(system: System) -> str:
    with urllib.request.urlopen(f"{system.url}/readyz", timeout=NEVER) as answer:
        return answer.read().decode()


@contextmanager
def guarded(stage: Stage, trusted: Path, shown: Pair) -> Iterator[tuple[int, FaultProxy, System]]:
    """A router that shows this certificate: its port, a proxy that hears what the edge says first, and the edge."""
    port = free_port()
    env = {"ROUTER_TLS_CERT": str(shown.cert), "ROUTER_TLS_KEY": str(shown.key), **AGE}
    argv = {"ROUTER_LISTEN": f"127.0.0.1:{port}", "ROUTER_CONFIG": str(stage.router_config), **env}
    router = python("router_service", {**QUIET_ROUTER, **argv})
    router.ready_when(lambda: bool(log_events(router, "listening")))
    proxy = FaultProxy(port)
    try:
        with stage.edge(EDGE_ROUTER=f"ipv4:127.0.0.1:{proxy.port}", EDGE_ROUTER_CA=str(trusted)) as system:
            yield port, proxy, system
    finally:
        proxy.close()
        router.stop()


async def untrusted(stage: Stage, trusted: Pair, shown: Pair) -> Seen:
    with guarded(stage, trusted.cert, shown) as (_, proxy, system):
        answer = await served_without(stage, system)
        assert proxy.began
        assert {began[:1] for began in proxy.began} == {FIRST_TLS_BYTE}, "something was said in the clear"
    return told(answer)


async def a_certificate_of_another_authority(stage: Stage) -> Seen:
    trusted, other = authority(stage.folder, "trusted"), authority(stage.folder, "other")
    return await untrusted(stage, trusted, issue(stage.folder, "127.0.0.1", other))


async def an_expired_certificate(stage: Stage) -> Seen:
    trusted = authority(stage.folder, "trusted")
    return await untrusted(stage, trusted, issue(stage.folder, "expired", trusted, days=-1))


async def no_tls_at_all(stage: Stage) -> Seen:
    """The router serves in the clear, and the edge wants a certificate: it must not go on without."""
    trusted = authority(stage.folder, "trusted")
    port = free_port()
    router = start_router(port, ROUTER_CONFIG=str(stage.router_config))
    try:
        with stage.edge(EDGE_ROUTER=f"ipv4:127.0.0.1:{port}", EDGE_ROUTER_CA=str(trusted.cert)) as system:
            return told(await served_without(stage, system))
    finally:
        router.stop()


async def a_replaced_certificate(stage: Stage) -> Seen:
    folder = stage.folder / "replaced"
    folder.mkdir()
    trusted = authority(folder, "trusted")
    shown, fresh = issue(folder, "shown", trusted), issue(folder, "fresh", trusted)
    with guarded(stage, trusted.cert, shown) as (port, proxy, system):
        await decided(system)
        before = ssl.get_server_certificate(("127.0.0.1", port))
        async with load(system.url, clients=4) as running:
            connections = len(proxy.began)
            shutil.copy(fresh.key, shown.key)
            shutil.copy(fresh.cert, shown.cert)
            await until(lambda: len(proxy.began) >= connections + 2, "new connections")
            await running.reaches(100)
        assert ssl.get_server_certificate(("127.0.0.1", port)) != before
    assert (running.failed(), running.without_router()) == ([], [])
    return Seen("200", running.slowest())
