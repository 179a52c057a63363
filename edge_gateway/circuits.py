"""Leaves alone the models whose providers fail, and keeps second attempts to a share of all requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Seconds for which a model is left alone, doubled with each failed look.
SHORTEST, LONGEST = 5.0, 60.0
# What a provider says in Retry-After counts up to here, in seconds.
MOST_PATIENCE = 120.0
# Second attempts that may come at once.
AT_ONCE = 10.0


@dataclass(slots=True)
class _Circuit:
    """A model's failures in a row; `until`: when it may be tried again, `pause`: the seconds it was last left alone."""

    failures: int = 0
    until: float = 0.0
    pause: float = 0.0
    probed: float = 0.0


class Circuits:
    """What this process has seen of its models, shared by all its requests; bounded by their number."""

    def __init__(self, now: Callable[[], float], failures: int, share: float, *, most: int = 10_000) -> None:
        """`now`: seconds of a clock that never jumps; `most`: models remembered.

        `failures`: in a row, after which a model is left alone, 0 for never; `share`: second attempts in the long run, for
        each request.
        """
        self._now = now
        self._failures = failures
        self._share = share
        self._most = most
        self._circuits: dict[str, _Circuit] = {}
        self._budget = AT_ONCE
        # Is told of each model that is left alone from now on, and for how many seconds.
        self.on_rest: Callable[[str, float], None] = lambda _model, _seconds: None

    def closed(self, models: Sequence[str]) -> tuple[str, ...]:
        """Those that may be tried now, in their order; one that was left alone only where nobody is looking at it."""
        if not self._circuits:
            return tuple(models)
        now = self._now()
        return tuple(model for model in models if self._may_be_tried(model, now))

    def tried(self, model: str) -> None:
        """A request goes to this model: whoever comes while it looks at one that was left alone goes elsewhere."""
        circuit = self._circuits.get(model)
        if circuit is not None and circuit.until:
            circuit.probed = self._now()

    def wait(self, models: Sequence[str]) -> float:
        """Seconds until the first of these may be tried again."""
        now = self._now()
        return max(0.0, min((self._circuits[m].until - now for m in models if m in self._circuits), default=0.0))

    def succeeded(self, model: str) -> None:
        """The model has answered."""
        circuit = self._circuits.get(model)
        # Whoever was under way when it was left alone, here or by another edge, knows nothing of what came since.
        if circuit is not None and self._now() >= circuit.until:
            del self._circuits[model]

    def failed(self, model: str, patience: float = 0.0) -> None:
        """The model's provider has failed; `patience`: the seconds for which it wants to be left alone, 0 if it says none."""
        if not self._failures:
            return
        now = self._now()
        circuit = self._circuits.setdefault(model, _Circuit())
        circuit.failures += 1
        before = circuit.until
        # Requests that were under way when it was left alone fail late, and say nothing new.
        if circuit.failures >= self._failures and now >= circuit.until:
            circuit.pause = min(LONGEST, circuit.pause * 2 or SHORTEST)
            circuit.until = now + circuit.pause
        if patience > 0:
            circuit.until = max(circuit.until, now + min(patience, MOST_PATIENCE))
        circuit.probed = 0.0
        if circuit.until > max(now, before):
            self.on_rest(model, circuit.until - now)
        if len(self._circuits) > self._most:
            del self._circuits[next(iter(self._circuits))]

    def rest(self, model: str, seconds: float) -> None:
        """Another edge leaves the model alone for so long."""
        if self._failures:
            circuit = self._circuits.setdefault(model, _Circuit())
            circuit.until = max(circuit.until, self._now() + min(seconds, MOST_PATIENCE))

    @property
    def budget(self) -> float:
        """Second attempts that may be made now."""
        return self._budget

    def states(self) -> dict[str, int]:
        """Each model that has failed lately: 0 it is tried, 1 one request may look whether it is well, 2 it is left alone."""
        now = self._now()
        # Whoever asks may be in another thread.
        known = dict(self._circuits).items()
        return {model: 0 if not circuit.until else 1 if now >= circuit.until else 2 for model, circuit in known}

    def request(self) -> int:
        """A request comes: how many further models it may be sent to, should the first fail."""
        self._budget = min(AT_ONCE, self._budget + self._share)
        return max(0, int(self._budget))

    def spent(self, attempts: int) -> None:
        """A request took so many attempts beyond its first."""
        # A burst may pass it before the first of its failures is known; that is not held against the next for ever.
        self._budget = max(-AT_ONCE, self._budget - attempts)

    def _may_be_tried(self, model: str, now: float) -> bool:
        circuit = self._circuits.get(model)
        return circuit is None or not circuit.until or (now >= circuit.until and now - circuit.probed >= SHORTEST)
