"""Where real Aiders meet faults: the house, with taps through which they come, and short time-outs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import REMEMBERING_NOTHING
from tests.fakes.provider import FakeProvider
from tests.faults.broken_answers import ANSWERS
from tests.faults.house import House
from tests.faults.tap import Tap
from tests.processes import wait_until

FORMATS = tuple(ANSWERS)
# Until an Aider has started and asked.
LONGEST_START = 100.0
# Short, so that a test need not wait long for what a user waits a minute for.
SETTINGS = {
    "EDGE_FIRST_BYTE_TIMEOUT_SECONDS": "30",
    "EDGE_FIRST_TOKEN_TIMEOUT_SECONDS": "30",
    "EDGE_IDLE_TIMEOUT_SECONDS": "4",
    "EDGE_TOTAL_TIMEOUT_SECONDS": "30",
    "EDGE_DRAIN_SECONDS": "2",
    **REMEMBERING_NOTHING,
}


def prompt(edit_format: str) -> str:
    """What the Aider with this edit format is asked, so that its requests are known."""
    return f"Shout the third and the ninth line ({edit_format})."


@dataclass
class Scene:
    """The house, with a tap before its edge for each format, through which that Aider comes, and one before its router."""

    house: House
    edge: dict[str, Tap]
    router: Tap
    read: threading.Event = field(default_factory=threading.Event)

    def wait_for_words(self) -> None:
        """Return when every Aider has been sent some of its answer."""
        taps = self.edge.values()
        wait_until(lambda: all(b'"delta"' in tap.down for tap in taps), "the beginning of an answer", LONGEST_START)


@contextmanager
def scene(provider: FakeProvider, folder: Path) -> Iterator[Scene]:
    """The house with its taps, all of it running."""
    house = House(provider, folder)
    edge, router = {name: Tap(house.ports["edge"]) for name in FORMATS}, Tap(house.ports["router"])
    house.settings["edge"] |= {**SETTINGS, "EDGE_ROUTER": f"dns:///127.0.0.1:{router.port}"}
    try:
        house.start_all()
        yield Scene(house, edge, router)
    finally:
        house.stop()
        for tap in (*edge.values(), router):
            tap.close()
