"""Token buckets in this process, by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 10_000


class Buckets:
    """A bucket starts full; of more than MOST_BUCKETS the least recently asked is forgotten, hence full again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, rate: float, burst: int) -> bool:
        """Take one token if there is one; `rate` tokens a second flow in, at most `burst` are held."""
        now = self._clock()
        tokens, then = self._buckets.pop(key, (float(burst), now))
        tokens = min(float(burst), tokens + max(0.0, now - then) * rate)
        taken = tokens >= 1
        self._buckets[key] = (tokens - 1 if taken else tokens, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return taken
