"""Whether a service that fails is asked again: a circuit breaker, with the time handed in and nothing else inside.

Closed, everybody may ask. Enough failures within a while open it; then nobody may, for a pause. After the pause it is
half open: one asks, and either closes it or opens it again for twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ticket:
    """The leave to ask once; its holder says afterwards what became of it. `probe`: the one that decides."""

    epoch: int
    probe: bool


class Breaker:
    """All times in seconds of `clock`."""

    def __init__(
        self,
        clock: Callable[[], float],
        failures: int = 5,
        within: float = 30.0,
        shortest_pause: float = 5.0,
        longest_pause: float = 60.0,
    ) -> None:
        self._clock = clock
        self._within = within
        self._shortest = shortest_pause
        self._longest = longest_pause
        self._pause = shortest_pause
        self._failures: deque[float] = deque(maxlen=failures)
        self._open_until: float | None = None
        self._probing = False
        # Counts the changes of state: what was asked before one says nothing about the state after it.
        self._epoch = 0

    def admit(self) -> Ticket | None:
        """The leave to ask now, or None; a ticket is given back by `succeeded`, `failed` or `abandoned`."""
        if self._open_until is None:
            return Ticket(self._epoch, probe=False)
        if self._probing or self._clock() < self._open_until:
            return None
        self._probing = True
        return Ticket(self._epoch, probe=True)

    @property
    def state(self) -> int:
        """0 everybody may ask, 1 one may, to see whether it is well, 2 nobody may."""
        return 0 if self._open_until is None else 1 if self._clock() >= self._open_until else 2

    def seconds_left(self) -> float:
        """How long nobody will be admitted; 0 when somebody may be now or a probe is under way."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def succeeded(self, ticket: Ticket) -> None:
        """The answer was good; a probe's closes the breaker."""
        if ticket.epoch == self._epoch and ticket.probe:
            self._open_until = None
            self._pause = self._shortest
            self._change()

    def failed(self, ticket: Ticket) -> None:
        """There was no good answer; a probe's opens the breaker for twice as long, a series of others opens it."""
        if ticket.epoch != self._epoch:
            return
        now = self._clock()
        if ticket.probe:
            self._pause = min(self._longest, self._pause * 2)
        else:
            self._failures.append(now)
            if len(self._failures) != self._failures.maxlen or now - self._failures[0] > self._within:
                return
        self._open_until = now + self._pause
        self._change()

    def abandoned(self, ticket: Ticket) -> None:
        """Nothing was learnt; the next one may be the probe."""
        if ticket.epoch == self._epoch and ticket.probe:
            self._probing = False

    def _change(self) -> None:
        self._epoch += 1
        self._probing = False
        self._failures.clear()
