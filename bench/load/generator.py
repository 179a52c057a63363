"""The load, in a process of its own: requests at a rate, in a closed loop, as streams, from slow readers, or mere connections.

At a rate each request is due at its time, whatever became of those before it, and its latency counts from then: a server that
stalls is charged for all who wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from bench.load.arithmetic import percentile
from bench.load.connection import Answer, Broken, Connection, Pool, now
from bench.load.prompts import Ask, Probe, Wish

Result = TypeVar("Result")
STAMP = b'"content":"'
OK = 200
# Linux's number; the socket module names it from Python 3.12 on.
IP_BIND_ADDRESS_NO_PORT = 24
# Several addresses of this machine: each has its own ports, and closed ones stay taken for a minute.
SOURCES = [f"127.0.0.{number}" for number in range(2, 10)]


@dataclass(slots=True)
class Sent:
    """A request: when it was due (seconds after the start), its milliseconds, its status (0: broken), what a refusal said."""

    due: float
    ms: float
    status: int
    retry_after: bool = False


@dataclass(slots=True)
class Load:
    """What became of many; `in_flight`: how many were, seen by each as it was sent."""

    sent: list[Sent] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def latency(self, share: float, *, served: bool = True) -> float:
        """A percentile of those that were served, or of those that were refused."""
        return percentile((one.ms for one in self.sent if (one.status == OK) is served), share)

    @property
    def served(self) -> int:
        """How many got their answer."""
        return sum(one.status == OK for one in self.sent)

    def statuses(self) -> dict[str, int]:
        """How many of each status."""
        counts: dict[str, int] = {}
        for one in self.sent:
            counts[str(one.status)] = counts.get(str(one.status), 0) + 1
        return counts


def at_rate(port: int, ask: Ask | Probe, rate: float, seconds: float, name: str = "r", after: float = 0.0) -> Load:
    """So many requests a second, each due at its time; the first after `after` seconds."""
    time.sleep(after)
    return _run(_at_rate(port, ask, rate, seconds, name))


def closed(port: int, ask: Ask, concurrency: int, seconds: float, name: str = "c") -> Load:
    """So many clients, each with its next request as soon as the last is answered."""
    return _run(_closed(port, ask, concurrency, seconds, name))


@dataclass(slots=True)
class Stream:
    """One stream: the digest of its bytes, its status, and its chunks' milliseconds on the way."""

    name: str
    status: int
    digest: str
    delays: list[float]


def streams(port: int, ask: Ask, count: int, ramp: float) -> list[Stream]:
    """So many streams at once, begun within `ramp` seconds, each to its end."""
    return _run(_streams(port, ask, count, ramp))


def slow_readers(port: int, ask: Ask, count: int, seconds: float) -> list[int]:
    """So many clients that take two kilobytes a second; the bytes that each got."""
    return _run(_together(_slow_reader(port, ask, number, seconds) for number in range(count)))


def churn(port: int, rate: float, seconds: float) -> dict[str, float]:
    """So many connections a second: a third leaves at once, a third resets, a third asks and leaves with the answer."""
    return _run(_churn(port, rate, seconds))


@dataclass(frozen=True)
class Mix:
    """What a soak sends: plain requests and streams in turn; of each hundred some are left early, some are made to fail.

    They go round a number of conversations: what is remembered of these has grown to its bound early in a soak, so that what
    grows afterwards is a leak.
    """

    size: int = 8_000
    chunks: int = 20
    pace: float = 20.0
    aborts: int = 5
    faults: int = 2
    conversations: int = 997


def mixed(port: int, mix: Mix, rate: float, seconds: float, name: str) -> dict[str, int]:
    """A soak's requests at a rate; how many were whole, left, failed as was wished, and failed beyond that."""
    return _run(_mixed(port, mix, rate, seconds, name))


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    return uvloop.run(work)


async def _together(all_of: Iterator[Awaitable[Result]]) -> list[Result]:
    return list(await asyncio.gather(*all_of))


async def _paced(rate: float, seconds: float, send: Callable[[int, float], Awaitable[None]]) -> None:
    """Begin `send(number, when it is due)` at its time, and wait for all; whoever is late catches up."""
    started, tasks = now(), set()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        if (wait := due - now()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.ensure_future(send(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


async def _at_rate(port: int, ask: Ask | Probe, rate: float, seconds: float, name: str) -> Load:
    pool, load, started = Pool(port), Load(), now()

    async def send(number: int, due: float) -> None:
        load.in_flight.append(pool.in_flight)
        status, told = 0, False
        with contextlib.suppress(Broken):
            answer = await pool.ask(ask.raw(f"{name}{number}"))
            status, told = answer.status, bool(answer.header("retry-after"))
        load.sent.append(Sent(due - started, (now() - due) * 1000, status, told))

    await _paced(rate, seconds, send)
    load.seconds = now() - started
    pool.close()
    return load


async def _closed(port: int, ask: Ask, concurrency: int, seconds: float, name: str) -> Load:
    pool, load, started, numbers = Pool(port), Load(), now(), itertools.count()

    async def client() -> None:
        while (sent := now()) < started + seconds:
            status = 0
            with contextlib.suppress(Broken):
                status = (await pool.ask(ask.raw(f"{name}{next(numbers)}"))).status
            load.sent.append(Sent(sent - started, (now() - sent) * 1000, status))

    await asyncio.gather(*(client() for _ in range(concurrency)))
    load.seconds = now() - started
    pool.close()
    return load


async def _streams(port: int, ask: Ask, count: int, ramp: float) -> list[Stream]:
    pool = Pool(port)

    async def one(number: int) -> Stream:
        await asyncio.sleep(ramp * number / count)
        digest, delays, name = hashlib.sha256(), [], f"s{number}"

        def heard(piece: bytes) -> None:
            arrived = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            digest.update(piece)
            for part in piece.split(STAMP)[1:]:
                delays.append((arrived - int(part[: part.index(b" ")])) / 1e6)

        status = 0
        with contextlib.suppress(Broken):
            status = (await pool.ask(ask.raw(name), heard)).status
        return Stream(name, status, digest.hexdigest(), delays)

    found = await _together(one(number) for number in range(count))
    pool.close()
    return found


async def _slow_reader(port: int, ask: Ask, number: int, seconds: float) -> int:
    """Ten of them come each second; one that is refused comes again."""
    end = now() + seconds
    await asyncio.sleep(number / 10)
    while now() < end:
        if got := await _read_slowly(port, ask.raw(f"slow{number}-{now()}"), end):
            return got
        await asyncio.sleep(1)
    return 0


async def _read_slowly(port: int, raw: bytes, end: float) -> int:
    """Two kilobytes a second until the end; the bytes that came, 0 if it was refused."""
    loop, got = asyncio.get_running_loop(), 0
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, raw)
        while now() < end:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(1):
                    piece = await loop.sock_recv(client, 512)
                    if not got and b" 503 " in piece[:15]:
                        return 0
                    got += len(piece)
            await asyncio.sleep(0.25)
    return got


async def _churn(port: int, rate: float, seconds: float) -> dict[str, float]:
    loop, reset = asyncio.get_running_loop(), struct.pack("ii", 1, 0)
    counts = {"made": 0, "failed": 0, "asked": 0, "answered": 0}
    probe = b"GET /healthz HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n"

    async def come_and_go(number: int, due: float) -> None:
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            try:
                client.bind((SOURCES[number % len(SOURCES)], 0))
                async with asyncio.timeout(5):
                    await loop.sock_connect(client, ("127.0.0.1", port))
                    counts["made"] += 1
                    if number % 3 == 1:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    if number % 3 == 2:
                        counts["asked"] += 1
                        await loop.sock_sendall(client, probe)
                        got = await loop.sock_recv(client, 1000)
                        counts["answered"] += got.startswith(b"HTTP/1.1 200")
            except (OSError, TimeoutError):
                counts["failed"] += 1

    started = now()
    await _paced(rate, seconds, come_and_go)
    return {**counts, "per_second": round(counts["made"] / (now() - started), 1)}


async def _mixed(port: int, mix: Mix, rate: float, seconds: float, name: str) -> dict[str, int]:
    pool = Pool(port)
    counts = {"sent": 0, "whole": 0, "left": 0, "injected": 0, "failed": 0, "failed_beyond": 0}
    kinds = _kinds(mix)
    spread = random.Random(1)  # noqa: S311 - nothing secret; the same soak each time

    async def send(number: int, due: float) -> None:
        ask, leaves, injected = kinds(number)
        counts["sent"] += 1
        counts["injected"] += injected
        raw = ask.raw(f"{name}{number}", f"{name}{number % mix.conversations}")
        if leaves:
            await _leave(port, raw, spread.uniform(0.0, 0.8))
            counts["left"] += 1
            return
        ends = _Ends()
        answer: Answer | None = None
        with contextlib.suppress(Broken):
            answer = await pool.ask(raw, ends.heard)
        whole = answer is not None and answer.status == OK and (ends.whole or not ask.wish.chunks)
        counts["whole" if whole else "failed"] += 1
        counts["failed_beyond"] += not whole and not injected

    await _paced(rate, seconds, send)
    pool.close()
    return counts


def _kinds(mix: Mix) -> Callable[[int], tuple[Ask, bool, bool]]:
    """For a number: what to send, whether to leave early, and whether it is made to fail. Faults are far from one another."""
    plain, stream = Ask(mix.size), Ask(mix.size, Wish(mix.chunks, mix.pace))
    refused = Ask(mix.size, Wish(fault="refuse"))
    cut = Ask(mix.size, Wish(mix.chunks // 2, mix.pace, fault="cut"))

    def kind(number: int) -> tuple[Ask, bool, bool]:
        every = 100 // mix.faults
        if number % every == every - 1:
            return (refused if number // every % 2 else cut), False, True
        leaves = number % (100 // mix.aborts) == 0
        return (stream if number % 2 or (leaves and number % 3) else plain), leaves, False

    return kind


class _Ends:
    """Whether a stream has come to its proper end."""

    def __init__(self) -> None:
        self.whole = False

    def heard(self, piece: bytes) -> None:
        if b"data: [DONE]" in piece:
            self.whole = True


async def _leave(port: int, raw: bytes, after: float) -> None:
    """Ask over a connection of its own, and close it after so many seconds."""
    try:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    except OSError:
        return
    with contextlib.suppress(Broken, TimeoutError):
        async with asyncio.timeout(after):
            await connection.ask(raw)
    connection.close()
