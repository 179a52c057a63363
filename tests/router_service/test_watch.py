"""Who watches misses nothing from the moment on at which its watch begins, and is told when it ends."""

import asyncio

import pytest

from router_service.domain import Purpose, Source
from router_service.records import Summary
from router_service.watch import LONGEST_QUEUE, TooSlow, Watchers


def made(number: int) -> Summary:
    return Summary(f"dec_{number}", float(number), "", "auto", Purpose.CODE, "", "a/b", Source.LOCAL, "the best")


async def test_what_happens_before_the_first_read_is_seen_too():
    watchers = Watchers()
    with watchers.watching() as events:
        watchers.publish(made(1))
        async with asyncio.timeout(10):
            assert await anext(events) == made(1)


async def test_a_watch_that_begins_while_the_router_stops_ends_at_once():
    watchers = Watchers()
    watchers.close()
    with watchers.watching() as events:
        async with asyncio.timeout(10):
            assert [event async for event in events] == []


async def test_a_watcher_that_is_too_far_behind_is_told_so_and_left():
    watchers = Watchers()
    with watchers.watching() as events:
        for number in range(LONGEST_QUEUE + 1):
            watchers.publish(made(number))
        with pytest.raises(TooSlow):
            [event async for event in events]
    watchers.publish(made(0))
