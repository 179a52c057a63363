"""LiteLLM's proxy: plain, with its complexity router, and in front of Portkey; one worker, no cache, no debug log.

It does not start without a master key, so it is asked with one; keys of its own would need a database.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from bench.peers import portkey
from bench.peers.environments import environment
from bench.peers.peer import Peer, Place, Running, locked
from tests.processes import Process, free_port, http_ok, wait_until

LOCK = "requirements/peer_litellm.txt"
# It starts in ten seconds on a quiet machine.
START_SECONDS = 180
# Without the first five it would ask the internet for newer lists than its own, and tell how it is used.
ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_TELEMETRY_DISABLED": "True",
    "LITELLM_LOG": "ERROR",
    "NO_DOCS": "True",
}
KEY = "sk-" + "0123456789abcdef" * 3
TIERS = {"SIMPLE": "weak", "MEDIUM": "weak", "COMPLEX": "strong", "REASONING": "strong"}


def configuration(place: Place, mode: str, portkey_port: int = 0) -> dict[str, Any]:
    """Its file; JSON is YAML too."""
    target: dict[str, Any] = {"api_base": place.provider, "api_key": "mock"}
    if portkey_port:
        target = {
            "api_base": f"http://127.0.0.1:{portkey_port}/v1",
            "api_key": "mock",
            "extra_headers": portkey.headers(place),
        }
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", **target}} for name in ("weak", "strong")
    ]
    if mode == "complexity":
        routed = {"model": "auto_router/complexity_router", "complexity_router_config": {"tiers": TIERS}}
        models.append({"model_name": "auto", "litellm_params": routed})
    return {
        "model_list": models,
        "litellm_settings": {"telemetry": False, "set_verbose": False, "num_retries": 0, "cache": False},
        "general_settings": {"master_key": KEY, "disable_spend_logs": True},
    }


def start(place: Place, mode: str = "plain") -> Running:
    """One worker with uvloop, as its documentation advises for production."""
    python = environment("litellm")
    processes, portkey_port = [], 0
    if mode == "portkey":
        portkey_port, gateway = portkey.gateway(place)
        processes.append(gateway)
    file, port = place.folder / f"litellm-{mode}.yaml", free_port()
    file.write_text(json.dumps(configuration(place, mode, portkey_port), indent=1))
    argv = [str(python.parent / "litellm"), "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    process = place.keep(Process([*argv, "--num_workers", "1"], {**ENVIRONMENT, "HOME": str(place.folder)}, "litellm"))

    def ready() -> bool:
        assert process.popen.poll() is None, f"LiteLLM died:\n{process.text()}"
        return http_ok(f"http://127.0.0.1:{port}/health/liveliness")

    wait_until(ready, "LiteLLM ready", START_SECONDS)
    pids = [one.popen.pid for one in (process, *processes)]
    headers = {"Authorization": f"Bearer {KEY}"}
    model = "auto" if mode == "complexity" else "weak"
    return Running(locked(LOCK, "litellm"), [port], pids, model=model, headers=headers)


NEEDS = partial(environment, "litellm")
PEERS = (
    Peer("litellm", "LiteLLM proxy", start, needs=NEEDS),
    Peer("litellm-complexity", "LiteLLM, complexity router", partial(start, mode="complexity"), needs=NEEDS),
    Peer("litellm-portkey", "LiteLLM → Portkey", partial(start, mode="portkey"), needs=NEEDS),
)
