"""TensorZero's gateway in Rust, from its Python package: the HTTP server that `patch_openai_client` starts; nothing is stored.

Alone it is published as a container image, which no package registry has; this is the same code in a process of its own.
"""

from __future__ import annotations

import re
from functools import partial

from bench.peers.environments import environment
from bench.peers.peer import Peer, Place, Running, locked
from tests.processes import Process

CONFIGURATION = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models.up]
routing = ["mock"]

[models.up.providers.mock]
type = "openai"
model_name = "up"
api_base = "{provider}/"
api_key_location = "none"
"""
# It listens on a port that it chooses.
PROGRAM = """
import signal, sys, tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(gateway.base_url, flush=True)
signal.pause()
"""
ADDRESS = re.compile(r"^http://[^:]+:(\d+)(/\S*)$", re.MULTILINE)


def start(place: Place) -> Running:
    """One process; its runtime takes as many threads as it has cores."""
    python, file = environment("tensorzero"), place.folder / "tensorzero.toml"
    file.write_text(CONFIGURATION.format(provider=place.provider))
    process = place.keep(Process([str(python), "-c", PROGRAM, str(file)], {"RUST_LOG": "error"}, "tensorzero"))
    process.ready_when(lambda: ADDRESS.search(process.text()) is not None)
    found = ADDRESS.search(process.text())
    assert found is not None
    return Running(
        locked("requirements/peer_tensorzero.txt", "tensorzero"),
        [int(found[1])],
        [process.popen.pid],
        model="tensorzero::model_name::up",
        path=f"{found[2].rstrip('/')}/chat/completions",
    )


PEERS = (Peer("tensorzero", "TensorZero (Rust)", start, needs=partial(environment, "tensorzero")),)
