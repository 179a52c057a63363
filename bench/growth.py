"""Measures what a million pins and a hundred thousand ledger rows take: memory, time, disk, and lookups as they grow.

Writes bench/results/growth.json and prints the tables.
"""

import asyncio
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from router_service.domain import Decision, Ranked, Request, Source
from router_service.ledger import open_ledger
from router_service.records import Query
from router_service.stores.memory import MemoryStore

RESULT = Path(__file__).parent / "results" / "growth.json"
PIN = b'{"model": "anthropic/claude-sonnet-5-5", "input_tokens": 23456}'
STEPS = (10_000, 100_000, 1_000_000)
ROWS = (1_000, 10_000, 100_000)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def pins() -> list[dict]:
    """Fill the memory store step by step."""
    store = MemoryStore(max(STEPS))
    before, done, rows = resident_bytes(), 0, []
    for step in STEPS:
        started = time.perf_counter()
        for number in range(done, step):
            await store.put(f"pin:tenant:conversation-{number}:code", PIN, 300)
        put = (time.perf_counter() - started) / (step - done)
        done = step
        started = time.perf_counter()
        for number in range(0, step, step // 1000):
            await store.get(f"pin:tenant:conversation-{number}:code")
        get = (time.perf_counter() - started) / 1000
        grown = resident_bytes() - before
        rows.append(
            {
                "pins": step,
                "mb": round(grown / 1e6, 1),
                "bytes_each": round(grown / step),
                "put_us": round(put * 1e6, 2),
                "get_us": round(get * 1e6, 2),
            }
        )
    return rows


def decision(number: int) -> Decision:
    models = [f"provider/model-{index}" for index in range(17)]
    ranking = tuple(
        Ranked(model, "quality 0.80 (measured), expected cost $0.0100", 0.01, 200_000, 0.8, 0.5) for model in models
    )
    request = Request(profile="auto", conversation_id=f"conversation-{number % 1000}")
    return Decision(
        f"dec_{number:032x}",
        models[0],
        ranking,
        Source.LOCAL,
        "best of 17 candidates",
        request,
        3,
        time=1.8e9 + number,
        policy="auto",
    )


async def ledger() -> list[dict]:
    """Write to SQLite step by step; the time is until the rows are on disk."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        done = 0
        for step in ROWS:
            kept = open_ledger(f"sqlite:///{path}", 10_000, "none", 0, lambda name, fields: print(name, fields))
            started = time.perf_counter()
            calls = []
            for number in range(done, step):
                made = decision(number)
                before = time.perf_counter()
                kept.record(made)
                calls.append(time.perf_counter() - before)
                if number % 2000 == 1999:
                    await asyncio.sleep(0.5)  # the queue is bounded, and this is faster than any router
            await kept.close()
            wrote = time.perf_counter() - started
            kept = open_ledger(f"sqlite:///{path}", 10_000, "none", 0, lambda name, fields: None)
            started = time.perf_counter()
            page = await kept.list(Query(), 100, "")
            listed = time.perf_counter() - started
            started = time.perf_counter()
            total = sum(row.decisions for row in await kept.savings(Query()))
            summed = time.perf_counter() - started
            await kept.close()
            assert (len(page.summaries), total) == (100, step), "rows are missing"
            rows.append(
                {
                    "rows": step,
                    "written_per_s": round((step - done) / wrote),
                    "record_p50_us": round(statistics.median(calls) * 1e6, 1),
                    "disk_mb": round(sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6, 1),
                    "first_page_ms": round(listed * 1000, 1),
                    "savings_ms": round(summed * 1000, 1),
                }
            )
            done = step
    return rows


def main() -> None:
    """Measure, print and write."""
    result = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    result["pins"] = asyncio.run(pins())
    result["ledger_sqlite"] = asyncio.run(ledger())
    for name in ("pins", "ledger_sqlite"):
        print(name)
        for row in result[name]:
            print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
