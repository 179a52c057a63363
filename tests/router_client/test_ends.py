"""What is closed meanwhile, used twice or by others, or answered by a later router, says so, with both clients."""

import asyncio
import math
import socket
import threading

import pytest

from router_client import AsyncRouter, DecisionSource, Outcome, Question, Report, Router, RouterError
from tests.router_client.servers import Newer, Nonsense, Slow, serving

CODE = Question(profile="auto")


async def test_a_client_that_is_closed_while_it_asks_for_health_is_told_no(client):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        router = client(f"127.0.0.1:{silent.getsockname()[1]}")
        asking = asyncio.ensure_future(router.is_serving(timeout=60))
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            await router.close()
            assert await asking is False


async def test_who_cancels_a_question_for_health_has_it_cancelled():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with AsyncRouter(f"127.0.0.1:{silent.getsockname()[1]}") as router:
            asking = asyncio.ensure_future(router.is_serving(timeout=60))
            connection, _ = await asyncio.to_thread(silent.accept)
            with connection:
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking


class ClosedByAnother(Router):
    """Another thread closes it just after it was looked at."""

    def _check_open(self) -> None:
        super()._check_open()
        self.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda router: router.select(CODE),
        lambda router: router.is_serving(),
        lambda router: next(router.select_stream([CODE])),
        lambda router: router.watch().__enter__(),
    ],
    ids=["call", "health", "stream", "watch"],
)
def test_a_client_that_another_thread_closes_says_so(call):
    with pytest.raises(RouterError, match="This client is closed"):
        call(ClosedByAnother())


async def test_a_client_that_is_closed_while_a_watch_begins_says_so(client):
    slow = Slow()
    with serving(slow) as there:
        router = client(there)

        async def watch() -> None:
            async with router.watch(timeout=60):
                pass

        watching = asyncio.ensure_future(watch())
        assert await asyncio.to_thread(slow.asked.wait, 30)
        await router.close()
        with pytest.raises(RouterError, match="was closed while"):
            await watching


def test_a_watch_that_another_thread_closes_while_it_begins_has_ended():
    slow = Slow()
    with serving(slow) as there, Router(there) as router:
        watch = router.watch(timeout=60)
        closing = threading.Thread(target=lambda: (slow.asked.wait(30), watch.close()))
        closing.start()
        with watch as events:
            assert list(events) == []
        closing.join()


async def test_a_watch_is_entered_once(address):
    with Router(address) as router:
        watch = router.watch()
        with watch:
            pass
        with pytest.raises(RouterError, match="entered once"), watch:
            pass
    async with AsyncRouter(address) as router:
        watch = router.watch()
        async with watch:
            pass
        with pytest.raises(RouterError, match="entered once"):
            async with watch:
                pass


async def test_a_watch_whose_read_was_cancelled_does_not_look_as_if_the_router_had_ended_it(address):
    async with AsyncRouter(address) as router:
        async with router.watch(tenant="nobody") as events:
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            with pytest.raises(RouterError, match="was cancelled, which ended it"):
                await anext(events)
        assert [event async for event in events] == []


async def test_a_time_out_may_be_as_long_as_one_likes(client, address):
    async with client(address, timeout=math.inf) as router:
        assert (await router.select(CODE)).model
        assert (await router.select(CODE, timeout=1e18)).model
        assert await router.is_serving()
        async with router.watch():
            pass


async def test_a_client_of_another_loop_says_so(address):
    async with AsyncRouter(address) as router:
        for ask in (router.models, router.is_serving, router.watch().__aenter__):
            with pytest.raises(RouterError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, ask())


async def test_news_that_are_no_message_are_an_error(client):
    with serving(Nonsense()) as there:
        async with client(there) as router, router.watch() as events:
            with pytest.raises(RouterError) as caught:
                await anext(events)
    assert caught.value.status == "INTERNAL"


async def test_what_a_later_router_says_beside_is_left_out(client):
    with serving(Newer()) as there:
        async with client(there) as router:
            decision = await router.select(CODE)
            assert (decision.model, decision.source) == ("a/b", DecisionSource.UNSPECIFIED)
            async with router.watch() as events:
                assert await anext(events) == Report(decision_id="d", outcome=Outcome.UNSPECIFIED)


async def test_an_answer_of_a_later_kind_is_no_decision_and_no_receipt(client):
    with serving(Newer()) as there:
        async with client(there) as router:
            (many,) = await router.select_many([CODE])
            ((_, streamed),) = [placed async for placed in router.select_stream([CODE])]
            receipts = await router.report_many([Report(decision_id="d")])
    for found in (many, streamed, *receipts.reports, *receipts.leased):
        assert isinstance(found, RouterError)
        assert "update the client" in str(found)
