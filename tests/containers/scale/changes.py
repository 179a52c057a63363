"""What is changed under load, in order; each change is looked at before, while it is made and settles, and after."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.containers.scale.load import Load
from tests.containers.scale.stack import Stack
from tests.processes import wait_until

# Seconds that a change has to settle, and that is looked on before and after.
SETTLE, LOOK_ON = 8.0, 6.0


@dataclass(frozen=True)
class Window:
    """A stretch of time, in seconds since the epoch."""

    change: str
    when: str
    start: float
    end: float


def first_router(stack: Stack) -> str:
    return stack.running("router")[0]


def roll_routers(stack: Stack) -> None:
    """Each is asked to stop and started again, one after the other: no other takes its place meanwhile."""
    for name in stack.running("router"):
        stack.restart(name)


def roll_edges(stack: Stack) -> None:
    """As a cluster does: nothing new is sent to one, it is asked to stop, finishes its answers, and its successor starts."""
    for name in stack.running("edge"):
        with stack.left_alone(name):
            stack.restart(name)


def kill_a_router(stack: Stack) -> None:
    stack.docker("kill", first_router(stack))


def restart_redis(stack: Stack) -> None:
    """What it held is gone with it."""
    (name,) = stack.running("redis")
    stack.restart(name)


CHANGES: tuple[tuple[str, Callable[[Stack], None]], ...] = (
    ("routers 3 → 1", lambda stack: stack.up(router=1, edge=2)),
    ("routers 1 → 3", lambda stack: stack.up(router=3, edge=2)),
    ("routers rolled, one at a time", roll_routers),
    ("routers 3 → 5", lambda stack: stack.up(router=5, edge=2)),
    ("a router killed", kill_a_router),
    ("edges rolled, drained", roll_edges),
    ("Redis restarted, empty", restart_redis),
)


def make_all(stack: Stack, load: Load) -> list[Window]:
    """Make every change under the load, and tell when what was."""
    windows = []
    wait_until(lambda: len(load.sent) > 2 * load.rate, "the first answers", 60)
    for name, change in CHANGES:
        before = time.time()
        time.sleep(LOOK_ON)
        during = time.time()
        change(stack)
        # Settling is part of the change: clients connect anew, and the name's new addresses are looked up.
        time.sleep(SETTLE)
        after = time.time()
        time.sleep(LOOK_ON)
        windows += [
            Window(name, "before", before, during),
            Window(name, "during", during, after),
            Window(name, "after", after, time.time()),
        ]
    return windows
