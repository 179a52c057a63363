"""The example clients get a decision from a real router, and say what a refusal says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT, free_port, node, start_router

Client = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def router() -> Iterator[str]:
    port = free_port()
    process = start_router(port, ROUTER_LEDGER_URL="memory:")
    yield f"127.0.0.1:{port}"
    process.stop()


def run(command: list[str], folder: Path) -> tuple[int, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ROUTER_")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The example as a stranger would have it: the .proto, the example, and what its lock names."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to install the Node client with")
    root = tmp_path_factory.mktemp("node_client")
    (root / "protos" / "router" / "v1").mkdir(parents=True)
    shutil.copy(ROOT / "protos/router/v1/router.proto", root / "protos/router/v1/")
    folder = root / "examples" / "node"
    shutil.copytree(ROOT / "examples" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    code, text = run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    assert code == 0, text
    return lambda *arguments: run([node(), "client.mjs", *arguments], folder)


@pytest.fixture(scope="module")
def python_client() -> Client:
    return lambda *arguments: run([sys.executable, "-m", "examples.python.select_model", *arguments], ROOT)


@pytest.fixture(params=["node_client", "python_client"])
def client(request: pytest.FixtureRequest) -> Client:
    return request.getfixturevalue(request.param)


def test_a_client_prints_the_model_and_the_reason(client, router):
    code, text = client(router, "auto-weak", "Name this commit.")
    assert code == 0, text
    model, reason = text.splitlines()
    assert model.startswith("model: ")
    assert "/" in model
    assert reason.startswith("reason: best of ")


def test_a_client_tells_a_refusal_in_the_routers_words(client, router):
    code, text = client(router, "no-such-profile")
    assert code == 1
    assert "refused: UNKNOWN_PROFILE: There is no profile 'no-such-profile'; the profiles are auto," in text


def test_a_client_names_the_field_that_breaks_a_rule(client, router):
    code, text = client(router, "")
    assert code == 1
    assert "refused: INVALID_REQUEST: " in text
    assert "\n  choice: set one of profile, candidates and model" in text


def test_a_client_says_when_there_is_no_router(client):
    code, text = client(f"127.0.0.1:{free_port()}")
    assert code == 1
    assert text.startswith("failed: ")
    assert "UNAVAILABLE" in text


def test_the_lock_holds_no_addresses():
    assert '"resolved"' not in (ROOT / "examples/node/package-lock.json").read_text()
