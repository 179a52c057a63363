"""A row of the fault matrix: a fault, what its client sees, and the function that injects and checks it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.stage import Stage

# Seconds after which a row has failed, whatever it waits for.
LONGEST = 300.0
# Seconds by which a test lets a busy machine pass a row's bound: less than a model's time-out as shipped (60 s), which a row
# that waits for one would take. Whether the bound itself is held `make faults` judges; that a shorter wait ends, such as the
# edge's for its router, is to be told by something else than time (calls that are called off, the log, a test of its own).
BUSY = 30.0


@dataclass(frozen=True)
class Seen:
    """What the client saw, in a word or two, and how long the longest of its answers took in seconds."""

    said: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """`injected`: how the fault is made. `sees`: what the client has to see. `bound`: seconds that its answer may take.

    `kept`: what else must hold, and where the product decides otherwise than the matrix once did.
    """

    id: str
    fault: str
    injected: str
    sees: str
    bound: float
    kept: str
    check: Callable[[Stage], Awaitable[Seen]]

    @property
    def name(self) -> str:
        """The row's name among tests."""
        return f"{self.id}-{'_'.join(self.fault.replace('/', ' ').split())}"


@dataclass(frozen=True)
class NotInjected:
    """A fault that cannot be made here, and why."""

    id: str
    fault: str
    reason: str


async def play(row: Row, stage: Stage, busy: float = 0.0) -> Seen:
    """Inject a row's fault and check it; an AssertionError says what does not hold.

    `busy`: seconds that its answer may take longer than the row's bound.
    """
    stage.reset()
    try:
        async with asyncio.timeout(LONGEST):
            seen = await row.check(stage)
    except TimeoutError:
        raise AssertionError(f"{row.id}: not over within {LONGEST:.0f} s") from None
    assert seen.said == row.sees, f"the client saw {seen.said!r}"
    assert seen.seconds <= row.bound + busy, f"the client waited {seen.seconds:.2f} s"
    return seen
