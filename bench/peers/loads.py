"""The loads that every peer gets."""

from __future__ import annotations

from dataclasses import dataclass

from bench.peers.bodies import Reply

PLAIN = Reply()

# Earlier turns of the requests of a conversation that goes on: it grows by one a request, and then begins anew under its name.
TURNS = range(1, 9)


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop of connections.

    `think_ms`: between an answer and the next request. `once`: each connection asks a single time, spread over `ramp_ms`, and
    is watched while its stream is open. `rounds`: of these at most, because one takes long.
    """

    name: str
    title: str
    connections: int
    size: int = 2_000
    reply: Reply = PLAIN
    seconds: float = 0.8
    think_ms: float = 0.0
    once: bool = False
    ramp_ms: float = 0.0
    rounds: int = 1_000
    # Seconds that what is under way at the end may still take.
    patience: float = 15.0
    # Streams at most that wait for their first event.
    opening: int = 1_000


LOADS = (
    # The pause is in step with nothing that a peer does by the clock; ours tells its router of a reply 20 ms after it.
    Load("c1", "2 kB, one at a time, 33 ms between", 1, think_ms=33, seconds=2.0),
    Load("c1b", "2 kB, one after another", 1),
    Load("c16", "2 kB, 16 at a time", 16),
    Load("c64", "2 kB, 64 at a time", 64),
    Load("41kB", "41 kB, 16 at a time", 16, size=41_000),
    Load("400kB", "400 kB, 16 at a time", 16, size=400_000),
    Load("burst", "a stream of 50 events at once, 16 at a time", 16, reply=Reply(50)),
    Load("paced", "a stream of 50 events in 100 ms after 20 ms, 16 at a time", 16, reply=Reply(50, 20, 2)),
    Load(
        "flow",
        "100 streams of 20 events a second",
        100,
        reply=Reply(60, 0, 50),
        once=True,
        ramp_ms=500,
        rounds=2,
        patience=12.0,
    ),
    Load(
        "open",
        "1,000 streams of an event a second",
        1_000,
        reply=Reply(12, 0, 1_000),
        once=True,
        # What is asked here is memory, not how many can be begun a second.
        opening=16,
        rounds=1,
        patience=25.0,
    ),
)
# Without pinning, so that what has two processes may use two cores.
UNPINNED = ("c64",)


def named(names: list[str]) -> tuple[Load, ...]:
    """These, or all when none is named; KeyError for one that there is not."""
    by_name = {load.name: load for load in LOADS}
    return tuple(by_name[name] for name in names) if names else LOADS
