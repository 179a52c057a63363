"""Times SelectModel end to end over gRPC: local, pinned, cached and Not Diamond decisions, at concurrency 1, 16 and 64.

Writes bench/results/router_latency.json and prints the table. The CPU is that of the router's process alone.
"""

import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from bench.load.machine import cpu_seconds
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.fakes import not_diamond as fake
from tests.processes import SHIPPED_ROUTER, Process, free_port, log_events, start_router

RESULT = Path(__file__).parent / "results" / "router_latency.json"
CONCURRENCIES = (1, 16, 64)
CALLS = 1500
BATCH = 64
NOT_DIAMOND_SECONDS = 0.06
TEXT = "Fix the failing test in calc.py and add type hints. " * 20


async def slow_recommendation(body: dict, writer: asyncio.StreamWriter) -> None:
    """What hosted Not Diamond claims at its quickest: an answer after 60 ms."""
    await asyncio.sleep(NOT_DIAMOND_SECONDS)
    await fake.recommend("openai", "gpt-6.1-sol")(body, writer)


def request(kind: str, number: int) -> pb.SelectModelRequest:
    """The request of one kind; only what must differ does."""
    made = pb.SelectModelRequest(
        profile="auto", purpose=pb.PURPOSE_CODE, available_providers=["openai", "anthropic", "google"]
    )
    made.requirements.input_tokens = 8000
    if kind != "local":
        made.messages.add(role="user", text=f"{number} {TEXT}" if kind == "not_diamond" else TEXT)
    if kind == "local":
        made.conversation_id = f"local-{number}"
    if kind == "pinned":
        made.conversation_id = "one"
    return made


async def measure(call: Callable, make: Callable[[int], object], calls: int, concurrency: int, router: Process) -> dict:
    """Latencies and CPU of some calls, and what the router itself says each took."""
    pid, told = router.popen.pid, len(log_events(router, "decided"))
    latencies: list[float] = []
    numbers = iter(range(calls))

    async def work() -> None:
        for number in numbers:
            message = make(number)
            started = time.perf_counter()
            await call(message, timeout=10)
            latencies.append((time.perf_counter() - started) * 1000)

    cpu, started = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    elapsed = time.perf_counter() - started
    service = sorted(event["ms"] for event in log_events(router, "decided")[told:])
    ordered = sorted(latencies)
    return {
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "service_p50_ms": round(statistics.median(service), 2),
        "service_p99_ms": round(service[int(len(service) * 0.99)], 2),
        "calls_per_s": round(len(ordered) / elapsed),
        "router_cpu_ms": round((cpu_seconds(pid) - cpu) * 1000 / len(ordered), 3),
    }


async def run() -> list[dict]:
    """All kinds at all concurrencies, against one router."""
    hosted = fake.FakeNotDiamond()
    hosted.answer = slow_recommendation
    port = free_port()
    # The rate limit is lifted: what is measured is the path, not the waiting.
    router = start_router(
        port,
        NOT_DIAMOND_API_KEY="k",
        NOTDIAMOND_BASE_URL=hosted.url,
        ROUTER_NOT_DIAMOND_RATE="100000",
        ROUTER_LEDGER_URL="memory:",
        **SHIPPED_ROUTER,
    )
    rows = []
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            await stub.SelectModel(request("pinned", 0))
            for kind in ("local", "pinned", "cached", "not_diamond"):
                for concurrency in CONCURRENCIES:
                    calls = CALLS // 5 if kind == "not_diamond" and concurrency == 1 else CALLS
                    # Each question to Not Diamond is a new one, also from one concurrency to the next.
                    base = concurrency * 1_000_000
                    row = await measure(
                        stub.SelectModel,
                        lambda number, k=kind, b=base: request(k, b + number),
                        calls,
                        concurrency,
                        router,
                    )
                    rows.append({"kind": kind, "concurrency": concurrency, **row})
            batch = await measure(
                stub.SelectModels,
                lambda number: pb.SelectModelsRequest(
                    requests=[request("local", number * BATCH + i) for i in range(BATCH)]
                ),
                100,
                16,
                router,
            )
            batch = {
                **batch,
                "calls_per_s": batch["calls_per_s"] * BATCH,
                "router_cpu_ms": round(batch["router_cpu_ms"] / BATCH, 3),
            }
            rows.append({"kind": f"local, batches of {BATCH}", "concurrency": 16, **batch})
    finally:
        router.stop()
        hosted.close()
    return rows


def main() -> None:
    """Measure, print and write."""
    load = os.getloadavg()[0]
    rows = asyncio.run(run())
    print(
        f"{'decision':<24}{'c':>4}{'p50 ms':>9}{'p99 ms':>9}{'service p50':>13}{'p99':>7}{'calls/s':>9}{'router CPU ms':>15}"
    )
    for row in rows:
        print(
            f"{row['kind']:<24}{row['concurrency']:>4}{row['p50_ms']:>9}{row['p99_ms']:>9}"
            f"{row['service_p50_ms']:>13}{row['service_p99_ms']:>7}"
            f"{row['calls_per_s']:>9}{row['router_cpu_ms']:>15}"
        )
    machine = {
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "grpcio": grpc.__version__,
        "load_before": load,
    }
    result = {"date": time.strftime("%Y-%m-%d"), "machine": {**machine, "platform": platform.machine()}, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
