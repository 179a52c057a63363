"""Edge, router and open-source gateway whose processes die when a test says so, and come back at the same address."""

import signal
import socket
from pathlib import Path

from tests.conftest import EDGE_CONFIG, ROUTER_CONFIG
from tests.fakes.provider import FakeProvider
from tests.processes import NEVER, Process, free_port, start_edge, start_portkey, start_router, wait_until

# In the order in which they are started.
STARTERS = {"portkey": start_portkey, "router": start_router, "edge": start_edge}
NAMES = tuple(STARTERS)


class House:
    """The three processes, each at an address that it keeps; `lives` has all processes that ever served there."""

    def __init__(self, provider: FakeProvider, folder: Path) -> None:
        """Starts nothing yet; `settings` are those with which each is started."""
        self.provider = provider
        self.ports = {name: free_port() for name in NAMES}
        self.lives: dict[str, list[Process]] = {name: [] for name in NAMES}
        router_config, edge_config = folder / "router.toml", folder / "edge.toml"
        router_config.write_text(ROUTER_CONFIG)
        edge_config.write_text(EDGE_CONFIG.format(provider=provider.url, nobody=free_port()))
        self.settings: dict[str, dict[str, str]] = {
            "portkey": {},
            "router": {"ROUTER_CONFIG": str(router_config)},
            "edge": {
                "EDGE_ROUTER": f"dns:///127.0.0.1:{self.ports['router']}",
                "EDGE_CONFIG": str(edge_config),
                "PORTKEY_BASE_URL": f"http://127.0.0.1:{self.ports['portkey']}/v1",
            },
        }

    def running(self, name: str) -> Process:
        """The process that serves there now, or served there last."""
        return self.lives[name][-1]

    def start(self, name: str) -> None:
        """Start a process at its address, and wait until it serves."""
        self.lives[name].append(STARTERS[name](self.ports[name], **self.settings[name]))

    def start_all(self) -> None:
        for name in NAMES:
            self.start(name)

    def freeze(self, name: str) -> None:
        self.running(name).popen.send_signal(signal.SIGSTOP)

    def kill(self, name: str) -> None:
        """End a process at once, and wait until it is gone."""
        popen = self.running(name).popen
        popen.send_signal(signal.SIGKILL)
        popen.wait(NEVER)

    def ask_to_stop(self, name: str) -> None:
        """Send SIGTERM, and wait until it takes no new connection; what it has begun may go on."""
        self.running(name).popen.send_signal(signal.SIGTERM)
        wait_until(lambda: not connects(self.ports[name]), f"{name} takes no new connection")

    def stop(self) -> None:
        """Stop whatever still runs, the edge first."""
        for name in reversed(NAMES):
            for process in self.lives[name]:
                process.stop()


def connects(port: int) -> bool:
    """Whether somebody on this machine takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True
