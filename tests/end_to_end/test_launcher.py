"""What `make run` starts and prints: every command in its welcome works as it stands, and Ctrl-C ends it all."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.end_to_end.aider_runs import AIDER, Repository
from tests.processes import NEVER, PATIENT_EDGE, QUIET_ROUTER, ROOT, Process, free_port, http_ok, wait_until


@pytest.fixture
def launched() -> Iterator[Process]:
    ports = {
        name: f"127.0.0.1:{free_port()}"
        for name in ("EDGE_LISTEN", "EDGE_PAGE_LISTEN", "ROUTER_LISTEN", "PORTKEY_LISTEN", "DEMO_LISTEN")
    }
    ollama = {"OLLAMA_HOST": f"127.0.0.1:{free_port()}"}
    process = Process(
        [sys.executable, "-m", "launcher"], {**QUIET_ROUTER, **PATIENT_EDGE, **ports, **ollama}, "launcher"
    )
    process.ready_when(lambda: "Ctrl-C stops everything." in process.text())
    yield process
    process.stop()


def commands(text: str) -> tuple[str, str]:
    """The Aider command and the curl of the welcome, as a shell takes them."""
    joined = text.replace("\\\n", " ")
    aider = re.search(r"^ +(LITELLM_LOCAL_MODEL_COST_MAP=True aider .*)$", joined, re.M)
    curl = re.search(r"^ +(curl .*)$", joined, re.M)
    assert aider, text
    assert curl, text
    return aider.group(1), curl.group(1)


def savings(text: str) -> str:
    """The welcome's command for what routing saved."""
    found = re.search(r"^ +(make savings.*)$", text, re.M)
    assert found, text
    return found.group(1)


def run_curl(command: str) -> str:
    """What the printed curl prints; where a bare machine has no curl, what the same request gets."""
    if shutil.which("curl"):
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60).stdout
    words = shlex.split(command)
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    url = next(word for word in words if word.startswith("http"))
    request = urllib.request.Request(url, data=words[words.index("-d") + 1].encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return f"{answer.headers}\n{answer.read().decode()}"


def test_the_printed_commands_work_as_they_stand_and_ctrl_c_ends_it_all(launched: Process, repository: Repository):
    aider, curl = commands(launched.text())
    said = run_curl(curl)
    assert "x-served-model: demo/" in said
    assert "scripted demo model" in said
    repository.write("hello.py", "def greet():\n    return 'hello'\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "start")
    line = f"{aider} --yes-always --message 'rename greet to welcome' hello.py"
    env = {"PATH": f"{AIDER.parent}:/usr/bin:/bin", "HOME": str(repository.home), "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=repository.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "def welcome():" in repository.read("hello.py"), done.stdout + done.stderr
    told = subprocess.run(
        ["bash", "-c", savings(launched.text())], check=False, capture_output=True, text=True, cwd=ROOT, timeout=280
    )
    assert "How replies fared" in told.stdout, told.stdout + told.stderr
    assert "demo/large" in told.stdout
    assert len(repository.subjects()) == 2
    page = re.search(r"in a browser:\n  (http://\S+/)", launched.text())
    assert page
    with urllib.request.urlopen(page.group(1), timeout=NEVER) as answer:
        assert "demo/large" in answer.read().decode()
    edge = re.search(r"Ready: (http://\S+)/v1", launched.text())
    assert edge
    assert launched.stop(signal.SIGINT) == 0
    wait_until(lambda: not http_ok(f"{edge.group(1)}/healthz"), "the edge stopped")
