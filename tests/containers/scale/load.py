"""Steady load of clients that try nothing again: plain answers and streams in turn, each over a connection of its own."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

KEY = "amr-" + "scale" * 8
# A client waits so long, seconds.
PATIENCE = 60
TEXT = "def compute(left, right):\n    return left if right is None else right\n" * 25


@dataclass
class Sent:
    """A request: when it was sent, how long it took, what was wrong with it ("" for nothing), and by what it is found again."""

    at: float
    seconds: float
    problem: str
    decision: str = ""
    source: str = ""
    request: str = ""


class Load:
    """What was sent, in the order of the answers."""

    def __init__(self, port: int, rate: float) -> None:
        self.sent: list[Sent] = []
        self.rate = rate
        self._url = f"http://127.0.0.1:{port}/v1/chat/completions"
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Goes on in a thread of its own meanwhile; waits for all answers at the end."""
        thread = threading.Thread(target=lambda: asyncio.run(self._go_on()))
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    async def _go_on(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            started, tasks, number = time.monotonic(), set(), 0
            while not self._stopped.is_set():
                await asyncio.sleep(max(0.0, started + number / self.rate - time.monotonic()))
                task = asyncio.create_task(self._ask(session, number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
            await asyncio.gather(*tasks)

    async def _ask(self, session: aiohttp.ClientSession, number: int) -> None:
        streams = number % 2 == 1
        # Temperature 0 as Aider sends it, so that answers are kept; no two ask the same.
        body = {
            "model": "auto",
            "stream": streams,
            "temperature": 0,
            "messages": [{"role": "user", "content": f"Explain number {number}.\n{TEXT}"}],
        }
        sent = Sent(time.time(), 0.0, "")
        try:
            async with session.post(self._url, json=body) as answer:
                sent.decision = answer.headers.get("x-router-decision-id", "")
                sent.source = answer.headers.get("x-router-source", "")
                sent.request = answer.headers.get("x-request-id", "")
                content = await answer.read()
                sent.problem = _problem(answer.status, content, streams)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            sent.problem = type(error).__name__
        sent.seconds = time.time() - sent.at
        self.sent.append(sent)


def _problem(status: int, content: bytes, streams: bool) -> str:
    """What is wrong with an answer; nothing where it is whole."""
    if status != 200:
        return f"status {status}: {json.loads(content)['error']['code']}"
    if not streams:
        return "" if json.loads(content)["choices"][0]["finish_reason"] == "stop" else "not finished"
    events = [line[len(b"data:") :].strip() for line in content.splitlines() if line.startswith(b"data:")]
    if not events or events.pop() != b"[DONE]":
        return "cut"
    told = [json.loads(event) for event in events]
    if any("error" in event for event in told):
        return "an error in the stream"
    finished = any(choice["finish_reason"] == "stop" for event in told for choice in event["choices"])
    return "" if finished else "not finished"
