"""L8: the router alone, asked over gRPC with prompts of two kilobytes."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory

import grpc

from bench.load.arithmetic import percentile
from bench.load.machine import Watch
from bench.load.prompts import CODE
from bench.load.report import Figure
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import SHIPPED_ROUTER, free_port, start_router

RATE, CONCURRENCY = 400.0, 8
TEXT = (CODE * 40)[:2_000]


def alone(figure: Figure, seconds: Callable[[float], float]) -> None:
    """Four hundred decisions a second, each due at its time, with either ledger; then as many as eight callers get."""
    with TemporaryDirectory() as folder:
        ledgers = {"in memory": "memory:", "SQLite": f"sqlite:///{folder}/router.sqlite"}
        for name, url in ledgers.items():
            _with_ledger(figure, name, url, seconds)


def _with_ledger(figure: Figure, name: str, url: str, seconds: Callable[[float], float]) -> None:
    long, port = seconds(30), free_port()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        router = start_router(port, ROUTER_LEDGER_URL=url, **SHIPPED_ROUTER)
        try:
            pool.apply_async(_asked, (port, RATE / 4, 3.0)).get(60)
            with Watch({"router": router.popen.pid}) as watch:
                at_rate = pool.apply_async(_asked, (port, RATE, long)).get(long + 120)
            with Watch({"router": router.popen.pid}) as most_watch:
                most = pool.apply_async(_asked, (port, 0.0, seconds(10))).get(120)
        finally:
            router.stop()
    figure.machine[name] = watch.told
    figure.at_least(f"decisions, ledger {name}", at_rate["per_second"], 0.99 * RATE, "/s")
    figure.at_most(f"p99, ledger {name}", at_rate["p99_ms"], 30, "ms")
    figure.at_most(f"errors, ledger {name}", at_rate["failed"] + most["failed"], 0)
    figure.seen[name] = {
        "at_rate": at_rate,
        "closed_loop": most,
        "router_cpu_ms_each": round(10 * watch.cpu("router") * watch.told["seconds"] / (RATE * long), 2),
        "closed_loop_machine": most_watch.told,
    }


def _asked(port: int, rate: float, seconds: float) -> dict[str, float]:
    return asyncio.run(_ask(port, rate, seconds))


async def _ask(port: int, rate: float, seconds: float) -> dict[str, float]:
    """At a rate, or with rate 0 in a closed loop."""
    latencies: list[float] = []
    failed = 0
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        await stub.ListProfiles(pb.ListProfilesRequest())

        async def one(number: int, due: float) -> None:
            nonlocal failed
            try:
                await stub.SelectModel(_question(number), timeout=5)
            except grpc.aio.AioRpcError:
                failed += 1
            latencies.append((time.monotonic() - due) * 1000)

        started = time.monotonic()
        if rate:
            tasks = set()
            for number in range(int(rate * seconds)):
                if (wait := started + number / rate - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                task = asyncio.create_task(one(number, started + number / rate))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)
        else:
            numbers = itertools.count(10_000_000)

            async def caller() -> None:
                while time.monotonic() < started + seconds:
                    await one(next(numbers), time.monotonic())

            await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
        took = time.monotonic() - started
    return {
        "calls": len(latencies),
        "failed": failed,
        "per_second": round(len(latencies) / took, 1),
        "p50_ms": round(percentile(latencies, 0.5), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
        "max_ms": round(max(latencies), 1),
    }


def _question(number: int) -> pb.SelectModelRequest:
    asked = pb.SelectModelRequest(
        profile="auto",
        purpose=pb.PURPOSE_CODE,
        conversation_id=f"c{number}",
        available_providers=["openai", "anthropic", "google"],
    )
    asked.messages.add(role="user", text=f"{number} {TEXT}")
    asked.requirements.input_tokens = 8000
    return asked
