"""A moment to begin at, and keys to be limited."""

from edge_gateway.access.entries import Key
from edge_gateway.access.limits import Claim, Limits
from tests.clock import Clock

# A Wednesday, 2026-11-25 22:00:00.5 UTC.
START = 1_795_644_000.5
DAY = 86_400.0


def wednesday() -> Clock:
    """Epoch seconds from `START` on."""
    return Clock(START)


def key(name: str = "alice", **limits: float) -> Key:
    return Key(name, name, ("*",), Limits(**limits))


def claim(tokens: int = 0, usd: float | None = 0.0) -> Claim:
    return Claim(tokens, usd)
