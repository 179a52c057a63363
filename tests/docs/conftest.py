"""The demo system beside which the pages' commands run: no key, scripted models, the real open-source Portkey gateway."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.aider_runs import repository
from tests.processes import ROOT, free_port, http_ok, python, start_edge, start_router

__all__ = ["repository"]

POLICY = "examples/policies/thrifty.toml"
EXAMPLE = re.compile(r"-m examples\.python\.(\w+)")


@dataclass
class Demo:
    """Where the edge and the router of the demo system are."""

    edge: str
    router: str
    folder: Path

    def here(self, text: str) -> str:
        """The text with the usual addresses replaced by these, and the examples told of them."""
        ways = {
            "openai_sdk": f"http://{self.edge}/v1",
            "langchain_chat": f"http://{self.edge}/v1",
            "anthropic_sdk": f"http://{self.edge}",
        }
        text = EXAMPLE.sub(lambda found: f"{found.group()} {ways.get(found.group(1), self.router)}", text)
        return text.replace("127.0.0.1:8080", self.edge).replace("127.0.0.1:50051", self.router)

    def run(self, words: list[str], cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program with nothing of ours in its environment but where things are."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {
            "HOME": str(self.folder),
            "EDGE_API_KEYS_FILE": str(self.folder / "keys.toml"),
            "ROUTER_LISTEN": self.router,
        }
        return subprocess.run(
            words,
            cwd=cwd,
            env={**kept, **own, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )


@pytest.fixture(scope="module")
def demo(portkey: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    models, router, edge = (f"127.0.0.1:{free_port()}" for _ in range(3))
    scripted = python("demo", {"DEMO_LISTEN": models, "DEMO_PACE": "0"})
    scripted.ready_when(lambda: http_ok(f"http://{models}/healthz"))
    deciding = start_router(int(router.rpartition(":")[2]), ROUTER_CONFIG=POLICY)
    serving = start_edge(
        int(edge.rpartition(":")[2]),
        EDGE_ROUTER=f"dns:///{router}",
        EDGE_DEMO_URL=f"http://{models}/v1",
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    yield Demo(edge, router, tmp_path_factory.mktemp("docs"))
    for process in (serving, deciding, scripted):
        process.stop()
