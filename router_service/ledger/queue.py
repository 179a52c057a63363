"""Writes behind the answer: a bounded queue, and the one thread that empties it in batches and never gives up."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Generic, TypeVar

Entry = TypeVar("Entry")
OnProblem = Callable[[str, dict[str, Any]], None]

LARGEST_BATCH = 500
# Seconds between attempts at a database that is away, at most; seconds between two lines of one kind in the log.
LONGEST_PAUSE = 2.0
QUIET = 1.0
# Seconds that close() gives a database that is away, and the writer's thread to end.
PATIENCE, FAREWELL = 5.0, 15.0


class Unwritable(Exception):
    """The database takes no offence at the connection but at what is written."""


class WriteQueue(Generic[Entry]):
    """Holds entries until they are written; when it is full it drops what comes, and counts."""

    def __init__(
        self,
        write: Callable[[Sequence[Entry]], None],
        tidy: Callable[[], None],
        interval: float,
        size: int,
        on_problem: OnProblem,
    ) -> None:
        """`write` keeps a batch, whole or not at all, and may be given it again; `tidy` is called between batches.

        `interval`: seconds within which what is queued is written, while the database keeps up.
        """
        self.dropped = 0
        self._write = write
        self._tidy = tidy
        # Half of it to gather entries in, the other half to write them in: what a killed process has still queued is lost.
        self._pause = interval / 2
        self._size = size
        self._on_problem = on_problem
        self._told: dict[str, float] = {}
        self._entries: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Queue an entry; never waits for the database, never raises."""
        with self._lock:
            full = len(self._entries) >= self._size or self._closing.is_set()
            if full:
                self.dropped += 1
            else:
                self._entries.append(entry)
        if full:
            self._tell("ledger_full", dropped=self.dropped)

    def __len__(self) -> int:
        """How many entries are not written yet."""
        return len(self._entries)

    def pending(self) -> tuple[Entry, ...]:
        """What is not written yet, in the order of arrival."""
        with self._lock:
            return tuple(self._entries)

    def close(self) -> None:
        """Write what is queued; a database that is away gets a few seconds to come back."""
        self._closing.set()
        self._thread.join(FAREWELL)
        with self._lock:
            lost = len(self._entries)
            self._entries.clear()
            self.dropped += lost
        if lost:
            self._tell("ledger_lost", lost=lost, dropped=self.dropped)

    def _run(self) -> None:
        pause, away, give_up = self._pause, False, float("inf")
        while time.monotonic() < give_up:
            if self._closing.wait(pause) and give_up == float("inf"):
                give_up = time.monotonic() + PATIENCE
            try:
                self._empty()
                self._tidy()
            # Whatever a database may do, the writer goes on.
            except Exception as error:
                self._tell("ledger_unreachable", error=_first_line(error), queued=len(self._entries))
                pause, away = min(max(pause, 0.05) * 2, LONGEST_PAUSE), True
                if self._closing.is_set():
                    time.sleep(0.1)
                continue
            if away:
                self._tell("ledger_reachable", dropped=self.dropped)
            pause, away = self._pause, False
            if self._closing.is_set():
                return

    def _empty(self) -> None:
        while True:
            with self._lock:
                batch = tuple(islice(self._entries, LARGEST_BATCH))
            if not batch:
                return
            self._save(batch)
            with self._lock:
                for _ in batch[: len(self._entries)]:
                    self._entries.popleft()

    def _save(self, batch: Sequence[Entry]) -> None:
        try:
            self._write(batch)
        except Unwritable as error:
            if len(batch) == 1:
                self.dropped += 1
                self._tell("ledger_refused", error=_first_line(error), dropped=self.dropped)
                return
            # One bad entry must not hold up the others for ever.
            for entry in batch:
                self._save([entry])

    def _tell(self, problem: str, **fields: Any) -> None:
        now = time.monotonic()
        if now - self._told.get(problem, float("-inf")) < QUIET:
            return
        self._told[problem] = now
        # A log that cannot be written must not end the writer, or the caller.
        with suppress(Exception):
            self._on_problem(problem, fields)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
