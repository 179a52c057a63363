"""Injects every fault of the matrix and prints one table: `python -m tests.faults [ID …]`; 1 when a row fails."""

import asyncio
import sys
import time

import pytest

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
    print(f"{counts}; {time.monotonic() - started:.0f} s")
    return int(failed > 0)


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
