"""Replays the router's policy on public per-task outcomes and compares it with what it has to beat; run by `make bench`.

Prints tables. Writes bench/results/routing.json and routing.svg from data that may be published (CodeRouterBench, MIT); what
comes of SWE-bench Verified's results (CC BY-NC) is written to bench/results/local/ alone, which git ignores.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from bench.routing import pools, tables
from bench.routing.pools import Pool
from bench.routing.study import Study, TaskTypes, study, task_types
from bench.routing.tables import Table
from bench.routing.wording import explanation, findings, fixed_models, rows, types

RESULTS = Path(__file__).resolve().parents[1] / "results"
SOURCES = (
    (tables.read_swebench, pools.SWEBENCH_POOLS, 10),
    (tables.read_coderouterbench, pools.CODEROUTERBENCH_POOLS, 6),
)


def main() -> None:
    """Replay what data there is; without any, a made-up table."""
    print(explanation())
    found = 0
    for read, contestants, seeds in SOURCES:
        try:
            table = read()
        except OSError as error:
            print(f"\nnot here, so left out: {error.filename}")
            continue
        found += 1
        measure(table, contestants, seeds)
    if not found:
        print(
            "\nNo recorded results are here (SHARED_DIR says where to look); a made-up table shows the replay instead."
        )
        measure(tables.hand_made(), pools.HAND_MADE_POOLS, 5)


def measure(table: Table, contestants: tuple[Pool, ...], seeds: int, results: Path = RESULTS) -> None:
    """Study every pool of a table, print what was found, and write it where it may be written."""
    started = time.perf_counter()
    print(f"\n{'=' * 100}\n{table.source}: {len(table.tasks)} tasks\n{'=' * 100}")
    studies = []
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        # The largest pool takes longest, so it starts first.
        largest = sorted(contestants, key=lambda pool: -len(pool.priors))
        jobs = {pool.name: workers.submit(study, table, pool, seeds) for pool in largest}
        for pool in contestants:
            found = jobs[pool.name].result()
            studies.append(found)
            print("\n".join(["", *fixed_models(found), *rows(found)]))
            sys.stdout.flush()
    typed = task_types(table) if any(table.kinds) else None
    print("\n".join(["", *(types(typed) if typed else []), *findings(studies), ""]))
    if table.recorded:
        write(table, studies, typed, results)
    print(f"[{time.perf_counter() - started:.0f} s]")


def write(table: Table, studies: list[Study], typed: TaskTypes | None, results: Path) -> None:
    """The results as JSON and as a picture; figures that may not be published go to the folder that git ignores."""
    folder = results if table.committable else results / "local"
    name = "routing" if table.committable else f"routing_{table.name}"
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "source": table.source,
        "date": time.strftime("%Y-%m-%d"),
        "explanation": explanation(),
        "pools": [asdict(found) for found in studies],
        "task_types": asdict(typed) if typed else None,
    }
    (folder / f"{name}.json").write_text(json.dumps(_rounded(result), indent=1) + "\n")
    # It takes a second to import.
    from bench.routing.plot import draw  # noqa: PLC0415

    draw(studies, table.source, folder / f"{name}.svg")
    print(f"written: {folder / name}.json and .svg")


def _rounded(value: object) -> object:
    """Figures to five digits after the point, which is more than the intervals bear."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
