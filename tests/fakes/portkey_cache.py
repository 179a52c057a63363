"""Portkey's simple cache: an answer is kept by the request's body and metadata, for as long as its config says."""

from dataclasses import dataclass, field

from tests.fakes.portkey_config import Cache

A_WEEK_S = 604_800
Key = tuple[str, bytes, bytes, str]


@dataclass(frozen=True)
class Cached:
    """An answer of status 200, and the place in the config whose it was."""

    body: bytes
    content_type: str
    place: str


@dataclass(frozen=True)
class Lookup:
    """What Portkey says of the cache in its header, and the answer if there is one."""

    status: str
    found: Cached | None = None


@dataclass
class SimpleCache:
    """Answers by key, each with the time when it ends."""

    _answers: dict[Key, tuple[float, Cached]] = field(default_factory=dict)

    def look_up(self, cache: Cache | None, key: Key, now: float, refresh: str | None) -> Lookup:
        """Semantic hits are never found here: only that one was looked for is told."""
        if cache is None:
            return Lookup("DISABLED")
        if refresh == "true":
            return Lookup("REFRESH")
        until, answer = self._answers.get(key, (now, None))
        if answer is not None and now < until:
            return Lookup("HIT", answer)
        return Lookup("SEMANTIC MISS" if cache.mode == "semantic" else "MISS")

    def keep(self, cache: Cache | None, key: Key, now: float, answer: Cached) -> None:
        """Keeps it, if the config has a cache, for its max_age or a week."""
        if cache is not None:
            self._answers[key] = (now + (cache.max_age or A_WEEK_S), answer)

    def clear(self) -> None:
        self._answers.clear()
