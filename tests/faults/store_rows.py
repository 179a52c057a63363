"""Redis and PostgreSQL are gone, slow, full or wrong: stickiness, kept answers and shared limits are lost, never an answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.conftest import System, edge_beside, router_beside
from tests.databases import MISSING, Postgres, programs
from tests.faults.asking import Load, ask, load, until
from tests.faults.fault_proxy import Fault, FaultProxy
from tests.faults.keys import make_key
from tests.faults.machine_rows import limited
from tests.faults.row import Seen
from tests.faults.stage import Stage
from tests.processes import free_port
from tests.redis_server import RedisServer

# As shipped: what a Redis that is slow or frozen may cost is what is looked at here.
ROUTER_REDIS = {"ROUTER_REDIS_TIMEOUT_SECONDS": ""}
EDGE_REDIS = {"EDGE_REDIS_TIMEOUT_SECONDS": "", "EDGE_CACHE_TIMEOUT_SECONDS": ""}
# No limit of the key's is ever reached here.
LIMITS = ["--requests-per-minute", "100000", "--parallel", "1000"]


@dataclass
class Sharing:
    """An edge and a router that keep limits, answers and pins in a Redis, and a wire to it that may be harmed."""

    system: System
    redis: RedisServer
    wire: FaultProxy
    key: str

    def asks(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


@contextmanager
def sharing(stage: Stage, *options: str) -> Iterator[Sharing]:
    redis = RedisServer(*options)
    wire = FaultProxy(redis.port)
    url = f"redis://127.0.0.1:{wire.port}/0"
    keys = stage.folder / f"keys-{wire.port}.toml"
    key = make_key(keys, *LIMITS)
    env = {**EDGE_REDIS, "EDGE_REDIS_URL": url, "EDGE_API_KEYS_FILE": str(keys), "EDGE_CACHE_SECONDS": "60"}
    try:
        with (
            router_beside(stage.system, stage.router_config, ROUTER_REDIS_URL=url, **ROUTER_REDIS) as routed,
            edge_beside(routed, stage.portkey, stage.edge_config, **env) as system,
        ):
            yield Sharing(system, redis, wire, key)
    finally:
        wire.close()
        redis.thaw()
        redis.close()


async def harmed(stage: Stage, harm: Callable[[Sharing], object], mend: Callable[[Sharing], object]) -> Seen:
    """Redis is harmed while clients ask: no request fails, and none waits for it for long."""
    house = stage.shared(sharing)
    async with load(house.system.url, clients=4, headers=house.asks(), temperature=0) as running:
        await running.reaches(20)
        harm(house)
        try:
            await running.reaches(80)
        finally:
            mend(house)
        await running.reaches(20)
    return all_served(running)


def all_served(running: Load) -> Seen:
    assert running.failed() == []
    assert running.without_router() == []
    return Seen("200", running.slowest())


def command(*words: str) -> Callable[[Sharing], object]:
    """This command, and what Redis says to it has to be OK."""

    def give(house: Sharing) -> None:
        assert house.redis.command(*words) == b"+OK\r\n"

    return give


async def killed(stage: Stage) -> Seen:
    return await harmed(stage, lambda house: house.redis.kill(), lambda house: house.redis.start())


async def frozen(stage: Stage) -> Seen:
    return await harmed(stage, lambda house: house.redis.freeze(), lambda house: house.redis.thaw())


async def slow(stage: Stage) -> Seen:
    def harm(house: Sharing) -> None:
        house.wire.fault = Fault(seconds_a_piece=0.4)

    return await harmed(stage, harm, lambda house: house.wire.clear())


async def reset_on_the_wire(stage: Stage) -> Seen:
    def harm(house: Sharing) -> None:
        house.wire.fault = Fault(reset_after=0)

    return await harmed(stage, harm, lambda house: house.wire.clear())


async def read_only(stage: Stage) -> Seen:
    return await harmed(stage, command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE"))


async def full(stage: Stage) -> Seen:
    return await harmed(stage, command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0"))


async def of_the_wrong_type(stage: Stage) -> Seen:
    """Whatever stands under our keys is replaced by lists."""
    script = (
        "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('DEL', key) redis.call('RPUSH', key, 'x') end "
        "return redis.status_reply('OK')"
    )
    return await harmed(stage, command("EVAL", script, "0"), command("FLUSHALL"))


async def emptied(stage: Stage) -> Seen:
    def harm(house: Sharing) -> None:
        for _ in range(20):
            command("FLUSHALL")(house)

    return await harmed(stage, harm, command("FLUSHALL"))


async def a_cluster_without_slots(stage: Stage) -> Seen:
    """Every command on a key is answered with an error of the cluster's."""
    # By itself its bus would listen 10,000 ports above, where there may be none.
    with sharing(stage, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as house:
        async with load(house.system.url, clients=4, headers=house.asks(), temperature=0) as running:
            await running.reaches(60)
        assert house.redis.command("GET", "any").startswith(b"-CLUSTERDOWN")
    return all_served(running)


@contextmanager
def kept(stage: Stage) -> Iterator[tuple[System, Postgres]]:
    """A system whose router keeps its decisions in PostgreSQL."""
    if programs() is None:
        pytest.skip(MISSING)
    postgres = Postgres()
    try:
        with stage.router(ROUTER_LEDGER_URL=postgres.new_database()) as system:
            yield system, postgres
    finally:
        postgres.thaw()
        postgres.close()


async def ledger_killed(stage: Stage) -> Seen:
    system, postgres = stage.shared(kept)
    async with load(system.url, clients=4) as running:
        await running.reaches(20)
        postgres.kill()
        try:
            await running.reaches(60)
        finally:
            postgres.start()
        await running.reaches(20)
    return all_served(running)


async def ledger_frozen(stage: Stage) -> Seen:
    system, postgres = stage.shared(kept)
    async with load(system.url, clients=4) as running:
        await running.reaches(20)
        postgres.freeze()
        try:
            await running.reaches(60)
        finally:
            postgres.thaw()
        await running.reaches(20)
    return all_served(running)


async def ledger_without_room(stage: Stage) -> Seen:
    """SQLite's files may not grow any more; decisions go on, and the log says what it costs."""
    path = stage.folder / "full.sqlite"
    with stage.router(ROUTER_LEDGER_URL=f"sqlite:///{path}") as system:
        assert (await ask(system.url)).status == 200
        # The log is a file as well, and much shorter.
        limited(system.router.popen.pid, "fsize", 2**17)
        async with load(system.url, clients=4) as running:
            await running.reaches(60)
            await until(lambda: "ledger_" in system.router.text(), "the log says so")
    return all_served(running)
