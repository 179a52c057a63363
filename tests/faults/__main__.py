"""Injects every fault, prints what clients and real Aider's files came to: `python -m tests.faults [ID …]`; 1 on a failure."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.end_to_end.aider_runs import AIDER, MISSING
from tests.faults import aider_files
from tests.faults.matrix import NOT_INJECTED, ROWS
from tests.faults.row import Row, play
from tests.faults.stage import Stage

COLUMNS = "{:<5} {:<58} {:<26} {:>7} {:>6}  {}"


def main(wanted: list[str]) -> int:
    """Play the rows with these ids, all where none is named."""
    rows = [row for row in ROWS if not wanted or row.id in wanted]
    started = time.monotonic()
    print(COLUMNS.format("id", "fault", "seen", "took s", "bound", ""))
    stage = Stage()
    try:
        results = [told(row, stage) for row in rows]
    finally:
        stage.close()
    for other in NOT_INJECTED:
        print(COLUMNS.format(other.id, other.fault, "", "", "", f"not injected: {other.reason}"))
    failed = results.count("FAIL")
    counts = (
        f"{len(results)} rows, {failed} failed, {results.count('left out')} left out, {len(NOT_INJECTED)} not injected"
    )
    print(f"{counts}; {time.monotonic() - started:.0f} s\n", flush=True)
    return int(failed > 0) if wanted else int(failed + damaged() > 0)


def damaged() -> int:
    """Have real Aider edit files under faults, print what became of them, and say how many are neither old nor new."""
    if not AIDER.exists():
        print(f"Aider's files: left out: {MISSING}")
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = list(aider_files.rows(Path(folder)))
    harmed = sum(row.file == "damaged" for row in found)
    print(aider_files.table(found))
    print(f"{len(found)} files of real Aider, {harmed} damaged; {time.monotonic() - started:.0f} s")
    return harmed


def told(row: Row, stage: Stage) -> str:
    """Play a row, print its line, and say how it went."""
    try:
        seen = asyncio.run(play(row, stage))
    except pytest.skip.Exception as missing:
        print(COLUMNS.format(row.id, row.fault, "", "", f"{row.bound:g}", f"left out: {missing}"), flush=True)
        return "left out"
    except Exception as failure:
        words = " ".join(f"{type(failure).__name__}: {failure}".split())[:300]
        print(COLUMNS.format(row.id, row.fault, "", "", f"{row.bound:g}", f"FAIL {words}"), flush=True)
        return "FAIL"
    print(COLUMNS.format(row.id, row.fault, seen.said, f"{seen.seconds:.2f}", f"{row.bound:g}", "pass"), flush=True)
    return "pass"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
