"""The containers: started, scaled, restarted, killed, asked for their addresses; and their logs, kept when they have gone."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.processes import ROOT, free_port, wait_until

PROJECT = "router-scale"
FILES = ("docker-compose.yml", "tests/containers/scale/compose.yml")
# Seconds between two looks for new containers.
LOOK = 0.5


class Stack:
    """The project, once it is up; `logs` is a folder with a file for each container."""

    def __init__(self, env: Mapping[str, str], logs: Path, **settings: str) -> None:
        self.port, self._admin = free_port(), free_port()
        ports = {"PROXY_PORT": str(self.port), "PROXY_ADMIN_PORT": str(self._admin)}
        self._env = {**env, **ports, "EDGE_PORT": "0", "EDGE_PAGE_PORT": "0", "ROUTER_PORTS": "0", **settings}
        self._logs = logs
        self._following: dict[str, subprocess.Popen[bytes]] = {}
        self._done = threading.Event()
        self._follower = threading.Thread(target=self._follow, daemon=True)

    def compose(self, *words: str) -> str:
        return self._run("docker", "compose", "-p", PROJECT, *(part for file in FILES for part in ("-f", file)), *words)

    def docker(self, *words: str) -> str:
        return self._run("docker", *words)

    def up(self, **scale: int) -> None:
        """Start, or scale; containers that run stay as they are."""
        sizes = [word for service, size in scale.items() for word in ("--scale", f"{service}={size}")]
        self.compose("up", "--detach", "--wait", "--no-recreate", "--no-build", *sizes)
        if not self._follower.is_alive():
            self._follower.start()

    def down(self) -> None:
        self._done.set()
        self.compose("down", "--volumes", "--timeout", "5")
        for process in self._following.values():
            process.wait(10)

    def running(self, service: str) -> list[str]:
        """The names of a service's running containers."""
        told = self.compose("ps", "--status", "running", "--format", "{{.Name}}", service)
        return sorted(told.split())

    def restart(self, name: str) -> None:
        """Ask it to stop, wait until it has, and start it again until it is healthy."""
        self.docker("restart", "--time", "60", name)
        self.healthy(name)

    def healthy(self, name: str) -> None:
        wait_until(lambda: self._state(name)["Health"]["Status"] == "healthy", f"{name} healthy", 120)

    @contextmanager
    def left_alone(self, name: str) -> Iterator[None]:
        """Nothing new is sent to it meanwhile."""
        address = self._inspect(name)["NetworkSettings"]["Networks"][f"{PROJECT}_front"]["IPAddress"]
        self._tell(f"leave {address}")
        try:
            yield
        finally:
            # It may come back at another.
            self._tell(f"take {address}")

    def redis_commands(self) -> int:
        """How many Redis has been given since it started."""
        told = self.compose("exec", "-T", "redis", "redis-cli", "info", "stats")
        return int(next(line for line in told.splitlines() if "total_commands_processed" in line).partition(":")[2])

    def select(self, query: str) -> list[str]:
        """What the ledger's database answers, a row a line."""
        words = ("exec", "-T", "postgresql", "psql", "-U", "router", "-d", "postgres", "-tAc", query)
        return self.compose(*words).splitlines()

    def events(self, service: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The log lines of one kind, each with its container's number."""
        for path in sorted(self._logs.glob(f"{PROJECT}-{service}-*.log")):
            for line in path.read_text(errors="replace").splitlines():
                if line.startswith("{") and line.endswith("}") and f'"event":"{name}"' in line:
                    yield path.stem.rpartition("-")[2], json.loads(line)

    def _run(self, *argv: str) -> str:
        done = subprocess.run(argv, cwd=ROOT, env=self._env, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr[-2000:]}"
        return done.stdout

    def _inspect(self, name: str) -> dict[str, Any]:
        return json.loads(self.docker("inspect", name))[0]

    def _state(self, name: str) -> dict[str, Any]:
        return self._inspect(name)["State"]

    def _tell(self, line: str) -> None:
        with socket.create_connection(("127.0.0.1", self._admin), timeout=10) as admin:
            admin.sendall(f"{line}\n".encode())
            assert admin.recv(10) == b"done\n"

    def _follow(self) -> None:
        """Keep the log of each container from its first line to its last; one that is started again is followed again."""
        while not self._done.is_set():
            told = self.docker(
                "ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}}"
            )
            for name in told.split():
                before = self._following.get(name)
                if before is None or before.poll() is not None:
                    with (self._logs / f"{name}.log").open("ab") as file:
                        argv = ["docker", "logs", "--follow", name]
                        self._following[name] = subprocess.Popen(argv, env=self._env, stdout=file, stderr=file)
            time.sleep(LOOK)
