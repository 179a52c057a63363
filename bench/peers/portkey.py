"""The open-source Portkey gateway, as this project starts it: one worker, bound to loopback by portkey/preload.mjs."""

from __future__ import annotations

import json

from bench.peers.peer import Absent, Peer, Place, Running
from tests.processes import PORTKEY, Process, free_port, start_portkey


def headers(place: Place) -> dict[str, str]:
    """What makes it pass a request to the mock."""
    return {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": place.provider,
        "Authorization": "Bearer mock",
    }


def gateway(place: Place) -> tuple[int, Process]:
    """A gateway of the place's own: its port and its process."""
    if not PORTKEY.exists():
        raise Absent("the open-source Portkey gateway is not installed (make dev)")
    port = free_port()
    return port, place.keep(start_portkey(port))


def version() -> str:
    """As installed."""
    about = json.loads((PORTKEY.parent.parent / "package.json").read_text())
    return str(about["version"])


def start(place: Place) -> Running:
    """One worker, asked with its own headers."""
    port, process = gateway(place)
    return Running(version(), [port], [process.popen.pid], headers=headers(place))


PEERS = (Peer("portkey", "Portkey, open source", start),)
