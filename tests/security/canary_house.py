"""The whole system with a sentinel for every secret: real edges, router, Portkey gateway and Redis; fakes only outside."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis as redis_client

from edge_gateway.access.entries import digest
from tests.conftest import REMEMBERING_NOTHING, ROUTER_CONFIG
from tests.fakes.hosted_portkey import HostedPortkey
from tests.fakes.not_diamond import FakeNotDiamond
from tests.fakes.provider import FakeProvider
from tests.processes import Process, free_port, start_edge, start_portkey, start_router
from tests.redis_server import RedisServer
from tests.security.sentinels import Sentinels

EDGE_CONFIG = """
[providers.fake]
slug = "openai"
key = "FAKE_API_KEY"
base_url = "{provider}"
verbatim = {verbatim}

[default_order]
auto = ["fake/first", "fake/second"]
"""


@dataclass
class House:
    """Everything that runs, and where it writes."""

    secrets: Sentinels
    folder: Path
    provider: FakeProvider
    hosted: HostedPortkey
    not_diamond: FakeNotDiamond
    redis: RedisServer
    edges: dict[str, str] = field(default_factory=dict)
    # Where each service shows its metrics.
    metrics: dict[str, int] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def redis_address(self) -> str:
        return self.redis.url.replace("redis://", f"redis://:{self.secrets.redis_password}@")

    def redis_dump(self) -> bytes:
        """What Redis would write to its disk, in the clear."""
        with redis_client.Redis.from_url(self.redis_address()) as connection:
            connection.config_set("rdbcompression", "no")
            connection.save()
            folder = connection.config_get("dir")["dir"]
        return (Path(folder) / "dump.rdb").read_bytes()

    def ledger(self) -> bytes:
        """All bytes of the ledger's files, what is not yet folded into the first of them too."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("ledger.sqlite*")))

    def decisions(self) -> int:
        with sqlite3.connect(self.folder / "ledger.sqlite") as ledger:
            return ledger.execute("SELECT count(*) FROM decisions").fetchone()[0]

    def command_lines(self) -> bytes:
        """Of every process, and of those that they started: each began a session of its own."""
        wanted = {process.popen.pid for process in self.processes}
        told = []
        for entry in Path("/proc").iterdir():
            # Others' processes come and go meanwhile.
            with suppress(ProcessLookupError, FileNotFoundError):
                if entry.name.isdecimal() and os.getsid(int(entry.name)) in wanted:
                    told.append((entry / "cmdline").read_bytes())
        return b"\n".join(told)

    def logs(self) -> dict[str, str]:
        return {f"{process.name} {number}": process.text() for number, process in enumerate(self.processes)}


@contextmanager
def canary_house(folder: Path) -> Iterator[House]:
    with ExitStack() as closing:
        house = House(Sentinels(), folder, FakeProvider(), HostedPortkey(), FakeNotDiamond(), RedisServer())
        for part in (house.provider, house.hosted, house.not_diamond, house.redis):
            closing.callback(part.close)
        house.redis.command("CONFIG", "SET", "requirepass", house.secrets.redis_password)
        house.hosted.api_key = house.secrets.portkey_key
        _start(house, closing)
        yield house


def _start(house: House, closing: ExitStack) -> None:
    secrets, folder = house.secrets, house.folder
    (folder / "router.toml").write_text(ROUTER_CONFIG)
    (folder / "tokens").write_text(f"edge {digest(secrets.router_token)}\n")
    (folder / "keys.toml").write_text(f'[keys.alice]\nsha256 = "{digest(secrets.client_key)}"\n')
    router_port, portkey_port = free_port(), free_port()

    def metrics_of(name: str) -> str:
        house.metrics[name] = free_port()
        return f"127.0.0.1:{house.metrics[name]}"

    def run(process: Process) -> None:
        house.processes.append(process)
        closing.callback(process.stop)

    run(
        start_router(
            router_port,
            ROUTER_CONFIG=str(folder / "router.toml"),
            ROUTER_LEDGER_URL=f"sqlite:///{folder / 'ledger.sqlite'}",
            ROUTER_LEDGER_CONTENTS="none",
            ROUTER_REDIS_URL=house.redis_address(),
            ROUTER_TOKENS_FILE=str(folder / "tokens"),
            NOT_DIAMOND_API_KEY=secrets.not_diamond_key,
            NOTDIAMOND_BASE_URL=house.not_diamond.url,
            ROUTER_NOT_DIAMOND_FAILURES="1000",
            ROUTER_METRICS_LISTEN=metrics_of("router"),
        )
    )
    run(start_portkey(portkey_port, PORTKEY_GATEWAY_TOKEN=secrets.gateway_token))
    usual = {
        **REMEMBERING_NOTHING,
        "EDGE_ROUTER": f"dns:///127.0.0.1:{router_port}",
        "EDGE_ROUTER_TOKEN": secrets.router_token,
        "EDGE_API_KEYS_FILE": str(folder / "keys.toml"),
        "EDGE_REDIS_URL": house.redis_address(),
        "EDGE_CACHE_SECONDS": "300",
        "FAKE_API_KEY": secrets.provider_key,
        "PORTKEY_BASE_URL": f"http://127.0.0.1:{portkey_port}/v1",
        "PORTKEY_GATEWAY_TOKEN": secrets.gateway_token,
    }
    hosted = {"PORTKEY_API_KEY": secrets.portkey_key, "PORTKEY_BASE_URL": house.hosted.url}
    for name, verbatim, further in (("verbatim", True, {}), ("translated", False, {}), ("hosted", True, hosted)):
        config = folder / f"{name}.toml"
        config.write_text(EDGE_CONFIG.format(provider=house.provider.url, verbatim=str(verbatim).lower()))
        port = free_port()
        own = {"EDGE_CONFIG": str(config), "EDGE_METRICS_LISTEN": metrics_of(name)}
        run(start_edge(port, **{**usual, **further, **own}))
        house.edges[name] = f"http://127.0.0.1:{port}"
