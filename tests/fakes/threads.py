"""Runs an asyncio server in a thread of its own, so that any test can talk to it over a real socket."""

import asyncio
import threading
from collections.abc import Awaitable, Callable


class ServerThread:
    """Starts a server in its own loop and stops it again; `port` is where it listens."""

    def __init__(self, start: Callable[[], Awaitable[tuple[int, Callable[[], Awaitable[None]]]]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port, self._stop = asyncio.run_coroutine_threadsafe(start(), self._loop).result(60)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
