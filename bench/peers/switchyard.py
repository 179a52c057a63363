"""NVIDIA's Switchyard in Rust, from its Python package, with its stage router: each request goes to one of two models."""

from __future__ import annotations

from functools import partial

from bench.peers.environments import environment
from bench.peers.generator import accepts
from bench.peers.peer import Peer, Place, Running, locked
from tests.processes import Process, free_port

CONFIGURATION = """
schema_version = 1

[llm_clients.mock]
format = "openai_chat"
base_url = "{provider}"
api_key_env = "MOCK_KEY"

[targets.capable]
id = "strong"
llm_client = "mock"

[targets.efficient]
id = "weak"
llm_client = "mock"

[routes.auto]
id = "auto"
type = "stage_router"
capable_target = "capable"
efficient_target = "efficient"
picker = "efficient_first"
confidence_threshold = 0.5
"""
PROGRAM = """
import signal, sys
from switchyard_rust.server import Server
server = Server(sys.argv[1], port=int(sys.argv[2]))
signal.pause()
"""


def start(place: Place) -> Running:
    """One process; its runtime takes as many threads as it has cores."""
    python, file, port = environment("switchyard"), place.folder / "switchyard.toml", free_port()
    file.write_text(CONFIGURATION.format(provider=place.provider))
    # The server strikes the key's value out of every answer, so it has to be one that no answer holds.
    settings = {"MOCK_KEY": "key-of-the-mock", "RUST_LOG": "error"}
    process = place.keep(Process([str(python), "-c", PROGRAM, str(file), str(port)], settings, "switchyard"))
    process.ready_when(lambda: accepts(port))
    return Running(
        locked("requirements/peer_switchyard.txt", "nemo-switchyard"), [port], [process.popen.pid], model="auto"
    )


NEEDS = partial(environment, "switchyard")
PEERS = (Peer("switchyard", "Switchyard (NVIDIA, Rust), stage router", start, needs=NEEDS),)
