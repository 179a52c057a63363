"""A clock that a test moves, and keys to be limited."""

from edge_gateway.access.entries import Key
from edge_gateway.access.limits import Claim, Limits

# A Wednesday, 2026-11-25 22:00:00.5 UTC.
START = 1_795_644_000.5
DAY = 86_400.0


class Clock:
    """Epoch seconds."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def key(name: str = "alice", **limits: float) -> Key:
    return Key(name, name, ("*",), Limits(**limits))


def claim(tokens: int = 0, usd: float | None = 0.0) -> Claim:
    return Claim(tokens, usd)
