"""Makes one call of what is asked within a moment: each has its own answer, and pays a share of the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
# Answers as they come, each with the position of what it answers.
Answers = AsyncIterator[tuple[int, Answer | Exception]]


class Unanswered(Exception):
    """The call ended, and had no answer for this one."""


class Gathering(Generic[Asked, Answer]):
    """Gathers while the call before has brought no answer yet, so that calls grow with the load and nobody waits without it."""

    def __init__(
        self,
        call: Callable[[Sequence[Asked]], Answers[Answer]],
        failed: Callable[[BaseException], Exception],
        idle: float,
        busy: float,
        most: int,
    ) -> None:
        """`call` asks for all of them at once; `failed`: what one of them is told when it fails, for each an object of its own.

        `idle`: seconds to gather while no call is under way without an answer, `busy`: at most, while there is one; `most`: in
        a call.
        """
        self.most = most
        self._call = call
        self._failed = failed
        self._idle = idle
        self._busy = busy
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._due: asyncio.Handle | None = None
        # The latest call, until its first answer.
        self._fresh: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def ask(self, asked: Asked) -> asyncio.Future[Answer]:
        """The answer to come; whoever does not wait for it any more cancels it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, answer))
        if len(self._waiting) >= self.most:
            self._go()
        elif self._due is None:
            pause = self._idle if self._fresh is None else self._busy
            self._due = loop.call_later(pause, self._go) if pause else loop.call_soon(self._go)
        return answer

    async def close(self) -> None:
        """Wait for what is under way."""
        self._go()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _go(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        batch = [(asked, answer) for asked, answer in self._waiting if not answer.done()]
        self._waiting = []
        if not batch:
            return
        task = asyncio.create_task(self._run(batch))
        self._fresh = task
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        left = len(batch)

        def done(answer: asyncio.Future[Answer]) -> None:
            nonlocal left
            left -= 1
            if left == 0 and answer.cancelled():
                # Nobody waits for the rest of the call.
                task.cancel()

        for _, answer in batch:
            answer.add_done_callback(done)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._answered(task)

    def _answered(self, task: asyncio.Task[None] | None) -> None:
        if task is self._fresh:
            self._fresh = None
            if self._waiting:
                self._go()

    async def _run(self, batch: Sequence[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        me = asyncio.current_task()
        problem: Exception = Unanswered()
        try:
            async for position, answer in self._call([asked for asked, _ in batch]):
                self._answered(me)
                future = batch[position][1]
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except Exception as error:
            problem = error
        finally:
            # Of a call that was cancelled, too: it ends with its channel. An error that several shared would hold what
            # each of them holds.
            for _, future in batch:
                if not future.done():
                    future.set_exception(self._failed(problem))
            del problem
