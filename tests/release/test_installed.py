"""The built wheels in fresh environments, used from a folder outside of the checkout."""

import json
import re
import signal
import socket
import stat
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.provider import FakeProvider
from tests.processes import ROOT, free_port, grpc_serving, http_ok, wait_until
from tests.release.house import Environment, environment, tracked

# A busy machine takes a minute to install all that is locked.
pytestmark = pytest.mark.timeout(400)

PORTKEY_MODULES = ROOT / "portkey" / "node_modules"
BODY = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hello"}]}).encode()


@dataclass(frozen=True)
class Running:
    """Router and edge, started from the wheel; with what they, and the command line, are told."""

    settings: dict[str, str]
    url: str
    router: str


def ask(url: str) -> tuple[dict[str, str], dict]:
    request = urllib.request.Request(f"{url}/v1/chat/completions", BODY, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(answer.headers), json.loads(answer.read())


@pytest.fixture(scope="module")
def running(
    installed: Environment, provider: FakeProvider, portkey: int, edge_config: Path, router_config: Path
) -> Iterator[Running]:
    router, edge = free_port(), free_port()
    settings = {
        "ROUTER_LISTEN": f"127.0.0.1:{router}",
        "ROUTER_CONFIG": str(router_config),
        "ROUTER_LEDGER_URL": f"sqlite:///{installed.folder / 'ledger.sqlite'}",
        "ROUTER_DRAIN_SECONDS": "0",
        "EDGE_LISTEN": f"127.0.0.1:{edge}",
        "EDGE_ROUTER": f"dns:///127.0.0.1:{router}",
        "EDGE_CONFIG": str(edge_config),
        "EDGE_PAGE_LISTEN": f"127.0.0.1:{free_port()}",
        "EDGE_MAX_LAG_SECONDS": "60",
        "PORTKEY_BASE_URL": f"http://127.0.0.1:{portkey}/v1",
    }
    started = []
    try:
        started.append(installed.start("router", "python", "-m", "router_service", **settings))
        started[-1].ready_when(lambda: grpc_serving(router))
        started.append(installed.start("edge", "python", "-m", "edge_gateway", **settings))
        started[-1].ready_when(lambda: http_ok(f"http://127.0.0.1:{edge}/readyz"))
        yield Running(settings, f"http://127.0.0.1:{edge}", f"127.0.0.1:{router}")
    finally:
        for process in reversed(started):
            process.stop()


@pytest.mark.parametrize(
    "name", ["router_service", "edge_gateway", "console", "launcher", "demo", "protos", "router_client"]
)
def test_what_runs_is_what_was_installed(installed: Environment, name: str):
    told = installed.run("python", "-c", f"import {name}; print({name}.__file__)")
    assert told.stdout.startswith(str(installed.root)), told.stdout + told.stderr


def test_a_completion_comes_through_the_installed_services(running: Running, provider: FakeProvider):
    provider.reset()
    headers, answer = ask(running.url)
    assert headers["x-router-source"] == "local"
    assert answer["choices"][0]["message"]["content"]
    assert len(provider.models_tried()) == 1


def test_the_page_has_its_templates_and_its_styles(running: Running):
    address = f"http://{running.settings['EDGE_PAGE_LISTEN']}"
    wait_until(lambda: http_ok(address), "the page")
    for path in ("/", *(f"/static/{Path(file).name}" for file in tracked("edge_gateway/page/static"))):
        assert http_ok(f"{address}{path}"), path


@pytest.mark.parametrize("name", ["amr", "aider-model-router"])
def test_the_command_line_has_both_its_names(installed: Environment, name: str):
    told = installed.run(name, "keys", "--help")
    assert told.returncode == 0, told.stderr
    assert f"Usage: {name} keys" in told.stdout


def test_the_doctor_finds_the_installed_system_well(installed: Environment, running: Running):
    told = installed.run("amr", "doctor", "--json", **running.settings)
    findings = json.loads(told.stdout)["findings"]
    assert [one for one in findings if one["level"] == "problem"] == [], told.stdout
    assert told.returncode == 0
    assert {one["check"] for one in findings if one["level"] == "ok"} >= {
        "settings",
        "router",
        "edge",
        "models",
        "disk",
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("config", "check"), "All is well"),
        (("explain", "rename this function"), "fake/"),
        (("decisions",), "fake/"),
        (("savings",), "How replies fared"),
        (("aider", "--help"), "amr aider --launch"),
        (("aider", "--out", "files"), "files holds Aider's files for"),
        (("train", "--help"), "Not Diamond"),
        (("--show-completion", "bash"), "_AMR_COMPLETE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_command_of_the_installed_system_works(
    installed: Environment, running: Running, words: tuple[str, ...], says: str
):
    ask(running.url)
    told = installed.run("amr", *words, **running.settings)
    assert told.returncode == 0, told.stdout + told.stderr
    assert says in told.stdout


def test_keys_are_kept_in_the_users_folder(installed: Environment):
    made = installed.run("amr", "keys", "make", "alice")
    assert made.returncode == 0, made.stderr
    assert "alice" in (installed.folder / "home" / "config" / "keys.toml").read_text()
    listed = installed.run("amr", "keys", "list")
    assert "alice" in listed.stdout
    unknown = installed.run("amr", "keys", "revoke", "nobody")
    assert unknown.returncode == 1
    assert "`amr keys list`" in unknown.stderr


def test_a_keys_file_that_the_users_settings_name_lies_in_the_users_folder(installed: Environment, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("EDGE_API_KEYS_FILE=config/carol.toml\n")
    made = installed.run("amr", "keys", "make", "carol", AIDER_MODEL_ROUTER_HOME=str(home))
    assert made.returncode == 0, made.stderr
    assert "carol" in (home / "config" / "carol.toml").read_text()
    # What the shell names, a service of the same shell's reads as well.
    shell = {"AIDER_MODEL_ROUTER_HOME": str(home), "EDGE_API_KEYS_FILE": "shells.toml"}
    made = installed.run("amr", "keys", "make", "dave", **shell)
    assert made.returncode == 0, made.stderr
    assert "dave" in (installed.folder / "shells.toml").read_text()


def test_training_reads_the_ledger_of_the_users_folder_wherever_one_stands(
    installed: Environment, running: Running, tmp_path: Path
):
    ask(running.url)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "router.sqlite").symlink_to(installed.folder / "ledger.sqlite")
    told = installed.run("amr", "train", "--out", "turns.csv", AIDER_MODEL_ROUTER_HOME=str(tmp_path))
    # It was found, and holds no prompts.
    assert told.stderr.startswith("The ledger holds no prompts to train on"), told.stdout + told.stderr


def test_the_users_folder_is_nobody_elses_whichever_command_makes_it(installed: Environment, tmp_path: Path):
    home = tmp_path / "home"
    made = installed.run("amr", "keys", "make", "alice", AIDER_MODEL_ROUTER_HOME=str(home))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("words", [("up",), ("keys", "make", "alice")], ids=" ".join)
def test_a_folder_that_cannot_be_used_is_named_and_how_to_name_another(
    installed: Environment, tmp_path: Path, words: tuple[str, ...]
):
    (tmp_path / "file").write_text("")
    told = installed.run("amr", *words, AIDER_MODEL_ROUTER_HOME=str(tmp_path / "file" / "home"))
    assert told.returncode == 1
    assert told.stderr.startswith(f"{tmp_path}/file/home cannot be used: Not a directory; AIDER_MODEL_ROUTER_HOME")


@pytest.mark.parametrize(
    ("data", "expected"), [("{0}/data", "{0}/data/aider-model-router"), ("data", "{0}/.local/share/aider-model-router")]
)
def test_xdgs_folder_counts_where_it_is_absolute(installed: Environment, tmp_path: Path, data: str, expected: str):
    where = {"AIDER_MODEL_ROUTER_HOME": "", "HOME": str(tmp_path), "XDG_DATA_HOME": data.format(tmp_path)}
    told = installed.run("python", "-c", "import console.home; print(console.home.ROOT)", **where)
    assert told.stdout.strip() == expected.format(tmp_path), told.stderr


def test_who_has_no_home_is_told_how_to_name_a_folder(installed: Environment):
    nobody = (
        "import os, pwd; os.environ.pop('HOME'); pwd.getpwuid = {}.__getitem__; from console.entry import main; main()"
    )
    told = installed.run("python", "-c", nobody, AIDER_MODEL_ROUTER_HOME="")
    assert told.returncode == 1
    assert told.stderr.startswith("This user has no home folder; AIDER_MODEL_ROUTER_HOME names"), told.stderr


def test_up_starts_the_whole_system_from_the_users_folder(installed: Environment):
    if not PORTKEY_MODULES.is_dir():
        pytest.skip("portkey/node_modules is absent; scripts/bootstrap.sh run installs it")
    home = installed.folder / "home"
    # What npm would install, so that nothing is fetched here; its stamp says that it is of this lock.
    (home / "portkey").mkdir(parents=True)
    (home / "portkey" / "node_modules").symlink_to(PORTKEY_MODULES)
    names = ("ROUTER_LISTEN", "PORTKEY_LISTEN", "DEMO_LISTEN", "EDGE_LISTEN", "EDGE_PAGE_LISTEN")
    listen = {name: f"127.0.0.1:{free_port()}" for name in names}
    (home / ".env").write_text("PORTKEY_WORKERS=1\nOLLAMA_HOST=127.0.0.1:9\n")
    process = installed.start("amr-up", "amr", "up", **listen)
    try:
        process.ready_when(lambda: "Ctrl-C stops everything." in process.text())
        headers, _ = ask(f"http://{listen['EDGE_LISTEN']}")
        assert headers["x-served-model"].startswith("demo/")
        assert (home / "var" / "router.sqlite").is_file()
        assert "Installing" not in process.text()
        assert str(ROOT) not in process.text()
        assert "amr savings" in process.text()
    finally:
        code = process.stop(signal.SIGINT)
    assert code == 0, process.text()


@pytest.fixture
def npm(tmp_path: Path) -> Path:
    """A Node.js and an npm that write down what they are told, and install what NPM_TEST_ENDS lets them."""
    programs = tmp_path / "bin"
    programs.mkdir()
    told = tmp_path / "told"
    server = "node_modules/@portkey-ai/gateway/build"
    lines = (f'echo "$PWD $*" >>{told}', f"env >>{told}", f"mkdir -p {server}", f"touch {server}/start-server.js")
    (programs / "npm").write_text("\n".join(("#!/bin/sh", *lines, "exit $NPM_TEST_ENDS\n")))
    (programs / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    return programs


def test_up_installs_the_gateway_once_by_its_lock_and_tells_npm_no_key(
    installed: Environment, npm: Path, tmp_path: Path
):
    home, told = tmp_path / "home", tmp_path / "told"
    home.mkdir()
    (home / ".env").write_text("OPENAI_API_KEY=sk-of-the-file\nPORTKEY_GATEWAY_TOKEN=token-of-the-file\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # Once all is installed it finds that it cannot start, and ends.
        env = {
            "AIDER_MODEL_ROUTER_HOME": str(home),
            "EDGE_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}",
            "PATH": f"{npm}:{installed.variables['PATH']}",
            "ANTHROPIC_API_KEY": "sk-of-the-shell",
            "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9/",
        }
        failed = installed.run("amr", "up", **env, NPM_TEST_ENDS="1")
        assert "The Portkey gateway could not be installed" in failed.stderr
        first, second = (installed.run("amr", "up", **env, NPM_TEST_ENDS="0") for _ in range(2))
    assert "Installing the open-source Portkey gateway" in first.stdout
    assert "in use" in first.stderr, first.stderr
    assert "Installing" not in second.stdout
    lines = told.read_text().splitlines()
    calls = [line for line in lines if line.startswith(f"{home}/portkey ci --ignore-scripts")]
    assert len(calls) == 2, lines
    assert "NPM_CONFIG_REGISTRY=http://127.0.0.1:9/" in lines
    assert not re.search("sk-of|token-of", told.read_text())


def test_the_services_code_of_the_contract_and_the_clients_get_on_in_one_process(installed: Environment):
    both = "from protos.router.v1 import router_pb2 as a; from router_client.contract.router.v1 import router_pb2 as b"
    told = installed.run(
        "python", "-c", f"{both}; print(b.Requirements.FromString(a.Requirements(vision=True).SerializeToString()))"
    )
    assert told.stdout == "vision: true\n\n", told.stderr


def test_without_its_extra_the_command_line_says_which_it_needs(tmp_path: Path, wheel: Callable[[str], Path]):
    bare = environment(tmp_path, None, wheel("aider-model-router"), wheel("aider-model-router-client"))
    told = bare.run("amr", "doctor")
    assert told.returncode == 1
    assert "Install aider-model-router[run]" in told.stderr
    assert "Traceback" not in told.stderr


def test_up_with_the_consoles_extra_alone_says_which_it_needs(installed: Environment):
    """The launcher that it becomes is a program of its own, and would end in a traceback."""
    bare = "import sys; sys.modules['honcho'] = None; sys.argv[1:] = ['up']; from console.entry import main; main()"
    told = installed.run("python", "-c", bare, EDGE_LISTEN="nowhere")
    assert told.returncode == 1
    assert "Install aider-model-router[run]" in told.stderr


def test_the_client_alone_asks_the_router_as_its_readme_says(
    running: Running, tmp_path: Path, wheel: Callable[[str], Path]
):
    client = environment(tmp_path, ROOT / "requirements" / "client.txt", wheel("aider-model-router-client"))
    _, _, rest = (ROOT / "scripts" / "release" / "client.md").read_text().partition("```python\n")
    example = rest.partition("```")[0].replace("127.0.0.1:50051", running.router)
    # A program with a contract of its own.
    (client.folder / "protos").mkdir()
    (client.folder / "protos" / "__init__.py").write_text("OURS = True\n")
    told = client.run("python", "-c", f"import protos\nassert protos.OURS\n{example}")
    assert told.stdout.startswith(("fake/first ", "fake/second ")), told.stderr
    assert client.run("python", "-c", "from router_client.contract.router.v1 import router_pb2_grpc").returncode == 0
    assert client.run("python", "-c", "import router_service").returncode != 0
