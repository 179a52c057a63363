"""Clients that try again as the SDK in Aider does, judge every answer by its bytes, and remember who decided."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from tests.faults import echo
from tests.processes import NEVER

AT_ONCE = 16
# What the SDK tries again, for how long, and how it waits: longer each time, unless it is told how long.
TRIED_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})
MOST_TRIES = 24
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0


@dataclass
class Tally:
    """What the clients were given."""

    # Tries by how they ended.
    ends: Counter[str] = field(default_factory=Counter)
    # Answers with a 200 that are neither whole nor honest about it.
    wrong: list[str] = field(default_factory=list)
    # Requests that were never answered.
    given_up: list[str] = field(default_factory=list)
    # Decisions of the router's that clients saw, and those of them whose answer came whole and not out of the cache.
    seen: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    done: int = 0
    over: bool = False
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def moved(self, *, over: bool = False) -> None:
        """One request more is done with, or all are."""
        self.done, self.over = self.done + (not over), over
        self._moved.set()

    async def reaches(self, count: int) -> bool:
        """Return when so many are done with; False when all are before."""
        while self.done < count and not self.over:
            self._moved.clear()
            await self._moved.wait()
        return not self.over


@dataclass(frozen=True)
class Request:
    """One request, unlike any other."""

    prompt: str
    stream: bool

    def body(self) -> dict:
        messages = [{"role": "user", "content": self.prompt}]
        return {"model": "auto", "messages": messages, "temperature": 0, **({"stream": True} if self.stream else {})}

    def answer(self) -> bytes:
        return b"".join(echo.events(self.prompt)) if self.stream else echo.plain(self.prompt)


def requests(count: int, seed: int) -> list[Request]:
    """Requests, half of them streamed."""
    chance = random.Random(seed)
    return [Request(f"question {number} {chance.getrandbits(64):x}", chance.random() < 0.5) for number in range(count)]


async def ask_all(url: str, asked: list[Request], tally: Tally) -> None:
    """Send all of them, so many at once."""
    left = iter(asked)
    timeout = aiohttp.ClientTimeout(total=NEVER)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def client() -> None:
            for request in left:
                await _ask(session, url, request, tally)
                tally.moved()

        try:
            await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        finally:
            tally.moved(over=True)


async def _ask(session: aiohttp.ClientSession, url: str, request: Request, tally: Tally) -> None:
    for tries in range(MOST_TRIES):
        end, wait = await _try(session, url, request, tally)
        tally.ends[end] += 1
        if wait is None:
            return
        await asyncio.sleep(wait or min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE))
    tally.given_up.append(request.prompt)


async def _try(session: aiohttp.ClientSession, url: str, request: Request, tally: Tally) -> tuple[str, float | None]:
    """How one try ended, and how long to wait before the next: None for no next one, 0 for as long as usual."""
    came = b""
    begun = False
    try:
        async with session.post(f"{url}/v1/chat/completions", json=request.body()) as answer:
            begun = True
            decision = answer.headers.get("x-router-decision-id", "")
            if decision.startswith("dec_"):
                tally.seen.add(decision)
            async for chunk in answer.content.iter_any():
                came += chunk
    except aiohttp.ClientConnectorError:
        return "refused", 0.0
    except (aiohttp.ClientError, OSError):
        if begun and not request.answer().startswith(came):
            return _wrong(request, came, tally)
        return ("broken off" if begun else "no answer"), 0.0
    if answer.status == 200:
        if came in (request.answer(), request.answer().removesuffix(echo.DONE)):
            if decision.startswith("dec_") and "hit" not in answer.headers.get("cache-status", ""):
                tally.served.add(decision)
            # What breaks off between the model's last word and [DONE] has cost nothing, and Aider takes it so.
            return ("whole" if came == request.answer() else "whole but for [DONE]"), None
        return ("error event", 0.0) if _honest(request, came) else _wrong(request, came, tally)
    if answer.status not in TRIED_AGAIN:
        tally.wrong.append(f"{answer.status}: {came[:200]!r}")
        return str(answer.status), None
    wait = answer.headers.get("retry-after", "0")
    return f"{answer.status} {json.loads(came)['error']['code']}", float(wait)


def _honest(request: Request, came: bytes) -> bool:
    """Whether these are some of the answer's events, and then one that tells of an error."""
    begun, _, last = came.rstrip(b"\n").rpartition(b"\n\n")
    whole_events = not begun or request.answer().startswith(begun + b"\n\n")
    return request.stream and whole_events and last.startswith(b'data: {"error": {"message": ')


def _wrong(request: Request, came: bytes, tally: Tally) -> tuple[str, None]:
    tally.wrong.append(f"{request.prompt}: {came[-300:]!r}")
    return "WRONG", None
