"""What the rows of the fault matrix share: the whole system, started once, and parts of it beside it, hasty ones too."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tests.conftest import EDGE_CONFIG, REMEMBERING_NOTHING, ROUTER_CONFIG, System, edge_beside, router_beside
from tests.fakes.provider import FakeProvider
from tests.faults.fault_proxy import FaultProxy
from tests.processes import Process, free_port, start_edge, start_portkey, start_router

Shared = TypeVar("Shared")
NO_SETTINGS: Mapping[str, str] = {}
# Seconds of a hasty edge: for a first byte, a first token, and silence within an answer. Nobody else's end by the machine's
# being slow. Where somebody has to be served in time by such an edge, it gives them longer.
PATIENCE, LONGER = 1.0, 3.0
# As shipped: when another replica is asked too, and a silent one counts as dead. In other rows each question is asked once.
HEDGE = {"EDGE_ROUTER_HEDGE_SECONDS": "0.3", "EDGE_ROUTER_PING_SECONDS": "0.5"}
# Seconds that an edge waits for its router where the row is about that. Otherwise it waits for as long as it takes.
DEADLINE = {"EDGE_ROUTER_DEADLINE_SECONDS": "1.5", **HEDGE}


def giving(seconds: float) -> dict[str, str]:
    """The settings of an edge that gives a model so long."""
    names = ("FIRST_BYTE", "FIRST_TOKEN", "ANSWER", "IDLE")
    return {f"EDGE_{name}_TIMEOUT_SECONDS": str(seconds) for name in names}


# Models whose provider is behind the fault proxy, asked for by name: far/first, far/second.
FAR = """
[providers.far]
slug = "openai"
base_url = "http://127.0.0.1:{port}/v1"
verbatim = true
"""


class Stage:
    """Each part is started when a row first asks for it; `close` stops them all."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._shared: dict[object, Any] = {}
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))

    def reset(self) -> None:
        """Nothing of one row shall show in the next."""
        self.provider.reset()
        self.wire.clear()

    def close(self) -> None:
        self._stack.close()

    def shared(self, make: Callable[["Stage"], AbstractContextManager[Shared]]) -> Shared:
        """What several rows use and leave as they found it: made once, closed at the end."""
        if make not in self._shared:
            self._shared[make] = self._stack.enter_context(make(self))
        return self._shared[make]

    @cached_property
    def provider(self) -> FakeProvider:
        fake = FakeProvider()
        self._stack.callback(fake.close)
        return fake

    @cached_property
    def wire(self) -> FaultProxy:
        """What stands between Portkey and the provider of the models far/…."""
        proxy = FaultProxy(int(self.provider.url.rpartition(":")[2].partition("/")[0]))
        self._stack.callback(proxy.close)
        return proxy

    @cached_property
    def portkey(self) -> int:
        port = free_port()
        process = start_portkey(port)
        self._stack.callback(process.stop)
        return port

    @cached_property
    def edge_config(self) -> Path:
        path = self.folder / "edge.toml"
        text = EDGE_CONFIG.format(provider=self.provider.url, nobody=free_port())
        path.write_text(text + FAR.format(port=self.wire.port))
        return path

    @cached_property
    def router_config(self) -> Path:
        path = self.folder / "router.toml"
        path.write_text(ROUTER_CONFIG)
        return path

    @cached_property
    def system(self) -> System:
        """The whole of it, for rows that leave no trace."""
        router_port = free_port()
        router = start_router(router_port, ROUTER_CONFIG=str(self.router_config))
        self._stack.callback(router.stop)
        edge_port = free_port()
        edge = start_edge(
            edge_port,
            EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
            EDGE_CONFIG=str(self.edge_config),
            PORTKEY_BASE_URL=f"http://127.0.0.1:{self.portkey}/v1",
            **REMEMBERING_NOTHING,
        )
        self._stack.callback(edge.stop)
        return System(f"http://127.0.0.1:{edge_port}", router_port, self.provider, router, edge)

    @cached_property
    def hasty(self) -> System:
        """The same behind an edge that gives models PATIENCE, for rows in which nobody has to be served in time."""
        return self._stack.enter_context(self.edge(**giving(PATIENCE)))

    @cached_property
    def longer(self) -> System:
        """The same behind an edge that gives models LONGER, for rows in which one is silent and another serves."""
        return self._stack.enter_context(self.edge(**giving(LONGER)))

    @contextmanager
    def edge(self, **env: str) -> Iterator[System]:
        """An edge of a row's own before the system's router and Portkey, or before those that `env` names."""
        with edge_beside(self.system, self.portkey, self.edge_config, **env) as system:
            yield system

    @contextmanager
    def router(self, edge: Mapping[str, str] = NO_SETTINGS, **env: str) -> Iterator[System]:
        """A router of a row's own, and an edge before it, with settings of the `edge`'s own where there are any."""
        with (
            router_beside(self.system, self.router_config, **env) as routed,
            edge_beside(routed, self.portkey, self.edge_config, **edge) as system,
        ):
            yield system


class Routers:
    """So many replicas of the router, each of which can be killed, frozen and started again where it was."""

    def __init__(self, count: int, config: Path, **env: str) -> None:
        self._env = {"ROUTER_CONFIG": str(config), **env}
        self.ports = [free_port() for _ in range(count)]
        self.processes = [self._start(port) for port in self.ports]
        self.target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def _start(self, port: int) -> Process:
        return start_router(port, **self._env)

    def kill(self, number: int) -> None:
        self.processes[number].stop(signal.SIGKILL)

    def signal(self, number: int, what: int) -> None:
        os.kill(self.processes[number].popen.pid, what)

    def start(self, number: int) -> None:
        """Start one that has ended."""
        self.processes[number] = self._start(self.ports[number])

    def close(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
                process.stop(signal.SIGKILL)


@contextmanager
def routers(stage: Stage, count: int, **env: str) -> Iterator[Routers]:
    """Replicas for one row."""
    made = Routers(count, stage.router_config, **env)
    try:
        yield made
    finally:
        made.close()
