"""What the rows of the fault matrix share: the whole system with short time-outs, started once, and parts of it beside it."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tests.conftest import EDGE_CONFIG, REMEMBERING_NOTHING, ROUTER_CONFIG, System, edge_beside, router_beside
from tests.fakes.provider import FakeProvider
from tests.faults.fault_proxy import FaultProxy
from tests.processes import Process, free_port, start_edge, start_portkey, start_router

Shared = TypeVar("Shared")
# Seconds: of a first byte, a first token, and silence within an answer.
PATIENCE = 1.0
QUICK = {
    **REMEMBERING_NOTHING,
    "EDGE_FIRST_BYTE_TIMEOUT_SECONDS": str(PATIENCE),
    "EDGE_FIRST_TOKEN_TIMEOUT_SECONDS": str(PATIENCE),
    "EDGE_ANSWER_TIMEOUT_SECONDS": str(PATIENCE),
    "EDGE_IDLE_TIMEOUT_SECONDS": str(PATIENCE),
}
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
            **QUICK,
        )
        self._stack.callback(edge.stop)
        return System(f"http://127.0.0.1:{edge_port}", router_port, self.provider, router, edge)

    @contextmanager
    def edge(self, **env: str) -> Iterator[System]:
        """An edge of a row's own before the system's router and Portkey, or before those that `env` names."""
        with edge_beside(self.system, self.portkey, self.edge_config, **{**QUICK, **env}) as system:
            yield system

    @contextmanager
    def router(self, **env: str) -> Iterator[System]:
        """A router of a row's own, and an edge before it."""
        with (
            router_beside(self.system, self.router_config, **env) as routed,
            edge_beside(routed, self.portkey, self.edge_config, **QUICK) as system,
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
