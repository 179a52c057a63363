"""`docker compose up` on a real engine: an Aider edit lands, a grown router shares the load, the containers are hardened."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers import engine
from tests.end_to_end.aider_runs import Repository, repository
from tests.processes import ROOT, free_port

__all__ = ["repository"]
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

SERVICES = ("router", "edge", "portkey", "demo")
CONNECTION_AGE = 3
BODY = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hello"}]}).encode()


@dataclass
class Compose:
    """The project, up and healthy."""

    env: Mapping[str, str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = ["docker", "compose", "-p", "router-test", *words]
        done = subprocess.run(argv, cwd=ROOT, env=dict(self.env), capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"docker compose {' '.join(words)}:\n{done.stderr[-3000:]}"
        return done

    def inspect(self, service: str) -> dict:
        identity = self.run("ps", "-q", service).stdout.split()[0]
        argv = ["docker", "inspect", identity]
        done = subprocess.run(argv, env=dict(self.env), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0]

    def ask(self) -> tuple[int, str]:
        request = urllib.request.Request(f"{self.url}/chat/completions", BODY, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["x-router-source"]

    def decisions(self) -> dict[str, int]:
        """How many decisions each router container has made."""
        lines = self.run("logs", "--no-color", "router").stdout.splitlines()
        made = [line.split("|", 1)[0].strip() for line in lines if '"event":"decided"' in line]
        return {name: made.count(name) for name in set(made)}


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    try:
        env = engine.environment()
    except engine.NoEngine as error:
        pytest.skip(str(error))
    port = free_port()
    ports = {
        "EDGE_PORT": str(port),
        "EDGE_PAGE_PORT": str(free_port()),
        "ROUTER_PORTS": "0",
        "ROUTER_MAX_CONNECTION_AGE_SECONDS": str(CONNECTION_AGE),
    }
    made = Compose({**env, **ports}, port)
    try:
        started = time.monotonic()
        made.run("build", "--quiet")
        built = time.monotonic()
        made.run("up", "--detach", "--wait")
        print(f"\nbuilt in {built - started:.0f} s, healthy {time.monotonic() - built:.0f} s later")
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "5", check=False)


def test_an_aider_edit_through_the_containers_lands_as_a_commit(compose: Compose, repository: Repository):
    repository.write("calc.py", "def add(a, b):\n    return a + b\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "start")
    said = repository.aider(compose.url, "rename add to plus", "calc.py")
    assert repository.read("calc.py") == "def plus(a, b):\n    return a + b\n", said
    assert len(repository.subjects()) == 2, said


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_not_root_cannot_write_and_holds_no_capability(compose: Compose, service: str):
    facts = compose.inspect(service)
    assert facts["Config"]["User"] not in ("", "0", "root")
    assert facts["HostConfig"]["ReadonlyRootfs"]
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in facts["HostConfig"]["SecurityOpt"]
    assert compose.run("exec", "-T", service, "touch", "/app/written", check=False).returncode != 0


def test_ports_are_published_on_loopback_alone_and_portkeys_not_at_all(compose: Compose):
    for service in SERVICES:
        bindings = compose.inspect(service)["NetworkSettings"]["Ports"].values()
        addresses = {binding["HostIp"] for entry in bindings for binding in entry or ()}
        assert addresses == ({"127.0.0.1"} if service in ("router", "edge") else set()), service


def test_the_router_cannot_reach_portkey_and_the_edge_can(compose: Compose):
    script = "import socket; socket.create_connection(('portkey', 8787), 3)"
    assert compose.run("exec", "-T", "edge", "python3", "-c", script, check=False).returncode == 0
    assert compose.run("exec", "-T", "router", "python3", "-c", script, check=False).returncode != 0


def test_a_router_scaled_to_three_shares_the_load_and_no_request_fails(compose: Compose):
    compose.run("up", "--detach", "--wait", "--no-recreate", "--scale", "router=3")
    asked = 0
    end = time.monotonic() + 60
    while len(compose.decisions()) < 3:
        assert time.monotonic() < end, f"after {asked} requests: {compose.decisions()}"
        for _ in range(20):
            assert compose.ask() == (200, "local")
            asked += 1
    print(f"\n{asked} requests, 0 errors, decisions by router: {compose.decisions()}")
    compose.run("up", "--detach", "--wait", "--no-recreate", "--scale", "router=1")
    for _ in range(40):
        assert compose.ask() == (200, "local")


def test_the_doctor_finds_the_containers_well_by_their_published_ports(compose: Compose, tmp_path: Path):
    router = compose.run("port", "router", "50051").stdout.strip()
    settings = tmp_path / "settings"
    settings.write_text(f"EDGE_LISTEN=127.0.0.1:{compose.port}\nROUTER_LISTEN={router}\n")
    argv = [sys.executable, "-m", "console", "--env-file", str(settings), "doctor", "--json"]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    findings = {one["check"]: one for one in json.loads(ran.stdout)["findings"]}
    assert not [one for one in findings.values() if one["level"] == "problem"]
    assert ran.returncode == 0
    # Who answers there is no process that is seen here.
    assert findings["edge"]["level"] == findings["router"]["level"] == "ok"
