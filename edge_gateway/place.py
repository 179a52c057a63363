"""Tells who of the requests under way waits for the edge itself, rather than for a client's bytes or a model."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


class Place:
    """A request's place among those that wait for the edge itself: not for their client's bytes, and not for a model."""

    def __init__(self, moved: Callable[[int], None]) -> None:
        self._moved = moved
        self._held = self._left = False
        self.take()

    def take(self) -> None:
        """It waits for the edge."""
        if not self._held and not self._left:
            self._held = True
            self._moved(1)

    def give(self) -> None:
        """It waits for somebody else."""
        if self._held:
            self._held = False
            self._moved(-1)

    def leave(self) -> None:
        """The edge's part is done."""
        self.give()
        self._left = True


_current: ContextVar[Place | None] = ContextVar("place", default=None)


def take(moved: Callable[[int], None]) -> Place:
    """A place for the request of this task; `moved` hears of each one more, or less, that is held."""
    made = Place(moved)
    _current.set(made)
    return made


def dispatched() -> None:
    """The request of this task has been understood and goes to a model, whose time is its own."""
    if (held := _current.get()) is not None:
        held.leave()
