"""The example clients get a decision from a real router, and say what a refusal says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT, free_port, node, start_router
from tests.router_client.servers import Refusing, serving

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
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    return done.returncode, done.stdout + done.stderr


def a_strangers(root: Path, name: str) -> Path:
    """An example's folder as a stranger would have it: the .proto, the examples, and what its lock names."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no npm to install the {name} client with")
    (root / "protos" / "router" / "v1").mkdir(parents=True)
    shutil.copy(ROOT / "protos/router/v1/router.proto", root / "protos/router/v1/")
    ours = shutil.ignore_patterns("node_modules", "gen", "dist")
    for each in ("node", name):
        shutil.copytree(ROOT / "examples" / each, root / "examples" / each, ignore=ours, dirs_exist_ok=True)
    succeed([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], root / "examples" / name)
    return root / "examples" / name


def succeed(command: list[str], folder: Path) -> None:
    code, text = run(command, folder)
    assert code == 0, text


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    folder = a_strangers(tmp_path_factory.mktemp("node_client"), "node")
    return lambda *arguments: run([node(), "client.mjs", *arguments], folder)


@pytest.fixture(scope="module")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Its stubs are generated, and it is compiled, as `make stubs` and its head say."""
    root = tmp_path_factory.mktemp("typescript_client")
    folder = a_strangers(root, "typescript")
    shutil.copy(ROOT / "buf.yaml", root)
    buf = str(Path(sys.executable).with_name("buf"))
    succeed([buf, "generate", "--template", "examples/typescript/buf.gen.yaml"], root)
    succeed([node(), "node_modules/typescript/bin/tsc"], folder)
    return lambda *arguments: run([node(), "dist/client.js", *arguments], folder)


@pytest.fixture(scope="module")
def python_client() -> Client:
    return lambda *arguments: run([sys.executable, "-m", "examples.python.select_model", *arguments], ROOT)


@pytest.fixture(params=["node_client", "typescript_client", "python_client"])
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


def test_what_the_contract_lacks_does_not_compile(typescript_client, tmp_path_factory):
    folder = next(tmp_path_factory.getbasetemp().glob("typescript_client*")) / "examples" / "typescript"
    text = (folder / "client.ts").read_text()
    (folder / "wrong.ts").write_text(text.replace("purpose: Purpose.CODE", "purpos: Purpose.CODE"))
    strict = ["--module", "nodenext", "--target", "es2022", "--strict", "--skipLibCheck", "--noEmit", "wrong.ts"]
    code, told = run([node(), "node_modules/typescript/bin/tsc", *strict], folder)
    assert code != 0
    assert "purpos" in told


@pytest.mark.parametrize("name", ["node", "typescript"])
def test_the_lock_holds_no_addresses(name: str):
    assert '"resolved"' not in (ROOT / "examples" / name / "package-lock.json").read_text()


def test_the_example_with_a_watch_ends_where_all_is_refused():
    with serving(Refusing()) as address:
        code, text = run([sys.executable, "-m", "examples.python.select_model_async", address], ROOT)
    assert code == 0, text
    assert text.splitlines() == [f"{purpose}: refused: not today" for purpose in ("code", "ask", "commit")]
