"""Takes a changed configuration while serving: whole when it is right, not at all when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from router_service.catalog import Catalog
from router_service.errors import InvalidConfiguration

Tell = Callable[[str, Mapping[str, object]], None]
Stamp = tuple[int, int, int]

# Seconds between two looks at the files.
INTERVAL = 2.0
# A file that an editor is still writing may already parse, as less than it will be: it has to rest this long.
SETTLED = 0.2


def stamp(path: Path) -> Stamp | None:
    """What differs once a file was replaced or written; None when there is none. A link counts as what it leads to."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class CatalogWatch:
    """Replaces the catalogue when its files change, or when it is asked to."""

    def __init__(
        self,
        current: Catalog,
        paths: Sequence[Path],
        load: Callable[[], Catalog],
        apply: Callable[[Catalog], None],
        tell: Tell,
        interval: float = INTERVAL,
    ) -> None:
        """`load` reads the files, `apply` puts a catalogue in place at once, `tell` logs an event with its fields."""
        self.last_problem = ""
        self._current = current
        self._paths = tuple(paths)
        self._load = load
        self._apply = apply
        self._tell = tell
        self._interval = interval
        self._asked = asyncio.Event()
        # None: whether the files changed between being read at the start and now is not known, so they are read once more.
        self._loaded: tuple[Stamp | None, ...] | None = None

    def reload(self) -> None:
        """Read the files now, changed or not: what SIGHUP is for."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        resting: tuple[Stamp | None, ...] | None = None
        while True:
            wait = self._interval if resting is None else min(SETTLED, self._interval)
            asked = await self._asked_within(wait)
            now = self._stamps()
            if asked or (now != self._loaded and now == resting):
                await self._replace(now, asked)
                resting = None
            else:
                resting = now if now != self._loaded else None

    async def _asked_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    def _stamps(self) -> tuple[Stamp | None, ...]:
        return tuple(stamp(path) for path in self._paths)

    async def _replace(self, stamps: tuple[Stamp | None, ...], asked: bool) -> None:
        try:
            catalog = await asyncio.to_thread(self._load)
            if self._stamps() != stamps:
                # They changed while being read: the next look takes them, once they rest.
                return
            changes = describe(self._current, catalog)
            if changes:
                self._apply(catalog)
        except InvalidConfiguration as error:
            self._refuse(str(error), stamps)
            return
        except Exception as error:  # whatever it is, the router serves on with what it has
            self._refuse(f"{type(error).__name__}: {error}", stamps)
            return
        if changes or asked or self.last_problem:
            self._tell("configuration_loaded", changes or {"changes": "none"})
        self._loaded, self._current, self.last_problem = stamps, catalog, ""

    def _refuse(self, problem: str, stamps: tuple[Stamp | None, ...]) -> None:
        self._loaded, self.last_problem = stamps, problem
        self._tell("configuration_refused", {"problem": problem, "serving": "the configuration before"})


def describe(old: Catalog, new: Catalog) -> dict[str, object]:
    """What differs between two catalogues, by name; empty when nothing does."""
    found = {**_compare("profiles", old.profiles, new.profiles), **_compare("models", old.by_id, new.by_id)}
    others = [
        name
        for name in type(new).model_fields
        if name not in ("models", "profiles") and getattr(old, name) != getattr(new, name)
    ]
    if others:
        found["others_changed"] = others
    # The order of a catalogue's entries decides the order of its lists, and nothing else.
    if not found and (tuple(old.by_id) != tuple(new.by_id) or tuple(old.profiles) != tuple(new.profiles)):
        found["others_changed"] = ["order"]
    return found


def _compare(kind: str, old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    parts = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and old[name] != new[name]],
    }
    return {f"{kind}_{what}": names for what, names in parts.items() if names}
