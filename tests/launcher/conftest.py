"""The parts the launcher's tests start and stop."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from gateway_house import NODES
from launcher_house import GATEWAY, House, is_alive


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for launched in house.launched:
        if launched.process.poll() is None:
            launched.process.send_signal(signal.SIGTERM)
            launched.ended()
    for pid in house.pids():
        with suppress(ProcessLookupError):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def gateway() -> Path:
    if not GATEWAY.is_file():
        pytest.skip("portkey/node_modules is absent; scripts/bootstrap.sh run installs it")
    return GATEWAY


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest, gateway: Path) -> str:
    found = NODES[request.param]
    if found is None:
        pytest.skip(f"no Node.js of this kind here: {request.param}")
    return found


@pytest.fixture
def ollama() -> Iterator[Callable[[bytes], str]]:
    """Starts a stand-in for Ollama that gives this answer to /api/tags, and returns its HOST:PORT."""
    servers = []

    def start(tags: bytes) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/api/tags" else 404)
                self.end_headers()
                self.wfile.write(tags)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
