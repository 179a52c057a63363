"""All waiting for answers can be ended at once, whatever state each is in."""

import asyncio

from edge_gateway.portkey.client import Waits
from tests.processes import NEVER


async def test_one_whose_time_is_just_over_does_not_keep_the_others_waiting():
    waits = Waits()

    loop = asyncio.get_running_loop()

    async def wait(seconds: float) -> None:
        await waits.until(loop.create_future(), seconds)

    waiting = [asyncio.create_task(wait(seconds)) for seconds in (0, 60, 60)]
    await asyncio.sleep(0)
    ended: asyncio.Future[None] = loop.create_future()
    # Just behind the time-out of the first, and before its task hears of it.
    loop.call_soon(lambda: ended.set_result(waits.end()))
    async with asyncio.timeout(NEVER):
        await ended
        told = await asyncio.gather(*waiting, wait(60), return_exceptions=True)
    assert [type(error) for error in told] == [TimeoutError] * 4
