"""What a router's SQLite ledger holds after the router is gone, and what its logs say should be there."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.processes import Process, log_events


@dataclass
class Kept:
    """The rows of a ledger."""

    integrity: str
    decisions: list[str]
    # Rows whose document cannot be read, or tells of another decision.
    torn: list[str]
    # Decisions with a report of each outcome.
    reported: list[tuple[str, str]]

    @property
    def doubled(self) -> list[str]:
        """Decisions of which there are two rows or two reports that say the same."""
        told = Counter([*((each, "") for each in self.decisions), *self.reported])
        return sorted(decision_id for (decision_id, _), times in told.items() if times > 1)


def read(path: Path) -> Kept:
    """Everything in this file, opened as anybody may."""
    with sqlite3.connect(path) as file:
        (integrity,) = file.execute("PRAGMA integrity_check").fetchone()
        rows = file.execute("SELECT id, trace FROM decisions").fetchall()
        reports = file.execute("SELECT decision_id, document FROM reports").fetchall()
    file.close()
    torn = [row_id for row_id, trace in rows if _document(trace).get("id") != row_id]
    documents = [(decision_id, _document(text)) for decision_id, text in reports]
    torn += [decision_id for decision_id, document in documents if document.get("decision_id") != decision_id]
    reported = [(decision_id, document.get("outcome", "")) for decision_id, document in documents]
    return Kept(integrity, [row_id for row_id, _ in rows], torn, reported)


def decided(router: Process) -> dict[str, float]:
    """When a router made its decisions, by its own log, which it writes at once."""
    made = log_events(router, "decided")
    return {entry["decision_id"]: datetime.fromisoformat(entry["timestamp"]).timestamp() for entry in made}


def lost(routers: Sequence[Process], ended: Sequence[float], kept: Kept) -> dict[str, float]:
    """Decisions that are not in the ledger, and how many seconds before the end of their router each was made."""
    rows = set(kept.decisions)
    return {
        decision_id: end - made
        for router, end in zip(routers, ended, strict=True)
        for decision_id, made in decided(router).items()
        if decision_id not in rows
    }


def late(routers: Sequence[Process], kept: Kept) -> list[str]:
    """Decisions that are not in the ledger though one is there that the same router made after them."""
    rows, found = set(kept.decisions), []
    for router in routers:
        made = list(decided(router))
        last = max((place for place, decision_id in enumerate(made) if decision_id in rows), default=-1)
        found += [decision_id for decision_id in made[:last] if decision_id not in rows]
    return found


def _document(text: str) -> dict:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
