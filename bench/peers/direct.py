"""No peer at all: what the mock and the generator do by themselves, which every other figure includes."""

from bench.peers.peer import Peer, Place, Running


def start(place: Place) -> Running:
    """Nothing to start."""
    return Running("", [place.mock_port], [])


PEERS = (Peer("direct", "straight to the mock", start),)
