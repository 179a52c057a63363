"""A copy of the launcher among stand-ins for the services, started as a user starts it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.ports import free_port
from tests.processes import NEVER

REPOSITORY = Path(__file__).parents[2]
GATEWAY = REPOSITORY / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
LISTEN_VARIABLES = ("ROUTER_LISTEN", "PORTKEY_LISTEN", "DEMO_LISTEN", "EDGE_LISTEN", "EDGE_PAGE_LISTEN")

# Each stand-in notes its environment, process id and that of a child of its own; one named in DIES dies.
NOTE = """
import json, os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
note = {"environment": dict(os.environ), "pids": [os.getpid(), child.pid]}
pathlib.Path(NAME + ".partial").write_text(json.dumps(note))
os.replace(NAME + ".partial", NAME + ".note")
if pathlib.Path(NAME + ".dies").exists():
    sys.exit("the stand-in dies as told")
host, _, port = os.environ[LISTEN].rpartition(":")
"""
HTTP = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == HEALTH else 404)
        self.end_headers()
        # The edge has found the router once a file that would say otherwise is gone.
        alone = pathlib.Path("alone")
        self.wfile.write(b'{"decisions":"default order"}' if alone.exists() else b'{"decisions":"router"}')
        if self.path == "/readyz":
            with open("asked", "a") as asked:
                asked.write(".")
    def log_message(self, *args):
        pass
ThreadingHTTPServer((host, int(port)), Answer).serve_forever()
"""
GRPC = """
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
server = grpc.server(ThreadPoolExecutor(2))
servicer = health.HealthServicer()
servicer.set("", health_pb2.HealthCheckResponse.SERVING)
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port(host + ":" + port)
server.start()
server.wait_for_termination()
"""
STAND_INS = {
    "router_service": ("ROUTER_LISTEN", "", GRPC),
    "demo": ("DEMO_LISTEN", "/healthz", HTTP),
    "edge_gateway": ("EDGE_LISTEN", "/readyz", HTTP),
}


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool], within_s: float = NEVER) -> bool:
    """Polls until the condition holds; False when it does not in time."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.05)):
        if condition():
            return True
        pause.wait(0.05)
    return condition()


class Launched:
    """A running launcher whose output is read as it comes."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "launcher"],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self.output += line
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str, within_s: float = NEVER) -> None:
        with self._changed:
            self._changed.wait_for(lambda: text in self.output or not self._reader.is_alive(), within_s)
        assert text in self.output, self.output

    def ended(self, within_s: float = NEVER) -> int:
        code = self.process.wait(within_s)
        self._reader.join(within_s)
        return code


class House:
    """The folder in which the copy runs; `variables` is what the user has set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        *own, ollama = (free_port() for _ in range(len(LISTEN_VARIABLES) + 1))
        self.ports = dict(zip(LISTEN_VARIABLES, own, strict=True))
        self.variables = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        # No Ollama of this machine is asked.
        self.variables |= {"OLLAMA_HOST": f"127.0.0.1:{ollama}", "PATH": os.environ["PATH"]}
        self.launched: list[Launched] = []
        shutil.copytree(REPOSITORY / "launcher", root / "launcher")
        (root / "portkey").symlink_to(REPOSITORY / "portkey")
        for module, (listen, health, serve) in STAND_INS.items():
            (root / module).mkdir()
            head = f"NAME = {module!r}\nLISTEN = {listen!r}\nHEALTH = {health!r}\n"
            (root / module / "__main__.py").write_text(head + NOTE + serve)

    def launch(self) -> Launched:
        self.launched.append(Launched(self.root, self.variables))
        return self.launched[-1]

    def ran(self, module: str) -> bool:
        return (self.root / f"{module}.note").exists()

    def environment_of(self, module: str) -> dict[str, str]:
        note: dict[str, dict[str, str]] = json.loads((self.root / f"{module}.note").read_text())
        return note["environment"]

    def pids(self) -> list[int]:
        return [pid for path in self.root.glob("*.note") for pid in json.loads(path.read_text())["pids"]]

    def is_empty(self) -> bool:
        """Whether everything that was started is gone, and its ports with it."""
        return eventually(lambda: not any(map(is_alive, self.pids())) and not any(map(_answers, self.ports.values())))


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
