"""What a call that fails says, with both clients: an error of its kind, with the router's word and a sentence."""

import asyncio
import pickle
import socket
from contextlib import AsyncExitStack, suppress

import pytest

from router_client import (
    AsyncRouter,
    DeadlineExceeded,
    InvalidRequest,
    Message,
    NoCandidate,
    NotFound,
    Overloaded,
    Question,
    Report,
    Requirements,
    Router,
    RouterError,
    Unavailable,
    UnknownCall,
)
from tests.processes import NEVER, free_port, start_router
from tests.router_client.servers import Nonsense, OfRelease, Older, Slow, serving

CODE = Question(profile="auto")


async def refused(router, question: Question) -> RouterError:
    with pytest.raises(RouterError) as caught:
        await router.select(question)
    return caught.value


async def test_a_rule_that_is_broken_is_told_with_its_field(router):
    error = await refused(router, Question(profile="auto", cost_quality_tradeoff=11, metadata={"a": "b" * 200}))
    assert isinstance(error, InvalidRequest)
    assert (error.status, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [violation.field for violation in error.fields] == ["cost_quality_tradeoff", "metadata"]
    assert all(violation.description in str(error) for violation in error.fields)


async def test_a_profile_that_is_not_there_is_told_with_those_that_are(router):
    error = await refused(router, Question(profile="no-such"))
    assert isinstance(error, NotFound)
    assert error.reason == "UNKNOWN_PROFILE"
    assert "auto-weak" in str(error)
    with pytest.raises(NotFound):
        await router.explain("dec_none")


async def test_candidates_that_a_filter_removed_are_told_with_what_they_lacked(router):
    error = await refused(router, Question(model="openai/gpt-6.1-sol", requirements=Requirements(input_tokens=2**31)))
    assert isinstance(error, NoCandidate)
    assert error.reason == "NO_CANDIDATE"
    assert [(entry.model, entry.filter) for entry in error.removed] == [("openai/gpt-6.1-sol", "context")]


@pytest.mark.parametrize(
    "question",
    [
        Question(profile="no-such"),
        Question(profile="auto", cost_quality_tradeoff=11, metadata={"a": "b" * 200}),
        Question(model="openai/gpt-6.1-sol", requirements=Requirements(input_tokens=2**31)),
    ],
    ids=["no profile", "broken rules", "no candidate"],
)
async def test_a_refusal_among_many_is_the_one_that_the_question_alone_gets(router, question):
    alone = await refused(router, question)
    (among,) = await router.select_many([question])
    ((_, streamed),) = [placed async for placed in router.select_stream([question])]
    for error in (among, streamed):
        assert (type(error), str(error), vars(error)) == (type(alone), str(alone), vars(alone))


@pytest.mark.parametrize(
    "question",
    [
        Question(profile="auto", messages=(Message("user", "a secret \ud800"),)),
        Question(profile="auto", requirements=Requirements(input_tokens=-1)),
        Question(profile="auto", purpose="bogus"),
        Question(profile="auto", model="openai/gpt-6.1-sol"),
        Question(profile="auto", messages=("a secret",)),
        Question(candidates="openai/gpt-6.1-sol"),
        Question(profile="auto", available_providers="openai"),
        Question(profile="auto", unhealthy_providers="openai"),
    ],
    ids=["lone surrogate", "negative", "no purpose", "two choices", "no message", "letters", "letters", "letters"],
)
async def test_what_no_message_can_hold_is_an_invalid_request_and_never_sent(router, question):
    error = await refused(router, question)
    assert isinstance(error, InvalidRequest)
    assert error.status == ""
    assert "secret" not in str(error)


async def test_what_the_callers_own_iterator_raises_is_the_callers(router):
    def found():
        yield Report(decision_id="no-such")
        raise ValueError("of the caller's")

    with pytest.raises(ValueError, match="of the caller's"):
        await router.report_many(found())
    with pytest.raises(InvalidRequest, match="adaptations: give a tuple"):
        await router.report_many([Report(decision_id="no-such", adaptations="drop_seed")])


async def test_a_router_that_is_not_there_is_unavailable(client):
    async with client(f"127.0.0.1:{free_port()}") as router:
        error = await refused(router, CODE)
        assert not await router.is_serving()
    assert isinstance(error, Unavailable)
    assert error.reason == ""
    assert "No router answers at 127.0.0.1" in str(error)


async def test_an_answer_that_stays_out_ends_with_the_calls_time_out(client):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with client(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.3) as router:
            assert isinstance(await refused(router, CODE), DeadlineExceeded)
            with pytest.raises(DeadlineExceeded):
                await router.models(timeout=0.1)
            with pytest.raises(DeadlineExceeded):
                async with router.watch():
                    pass
            assert not await router.is_serving()


async def test_a_watch_that_does_not_begin_ends_with_its_time_out(client):
    with serving(Slow()) as address:
        async with client(address) as router:
            with pytest.raises(DeadlineExceeded, match="did not begin"):
                async with router.watch(timeout=0.3):
                    pass


async def test_a_router_with_more_calls_than_it_takes_is_overloaded(client):
    port = free_port()
    process = start_router(port, ROUTER_MAX_CALLS="1")
    try:
        async with client(f"127.0.0.1:{port}") as router, asyncio.timeout(NEVER), AsyncExitStack() as held:
            taken = False
            while not taken:
                # The question whether it is ready may count yet, as one that is over.
                with suppress(Overloaded):
                    await held.enter_async_context(router.watch())
                    taken = True
            assert isinstance(await refused(router, CODE), Overloaded)
    finally:
        process.stop()


async def test_an_older_router_is_named_with_its_release(client):
    with serving(OfRelease()) as address:
        async with client(address) as router:
            assert isinstance(error := await refused(router, CODE), UnknownCall)
            assert str(error) == f"The router at {address} (release 0.9.9) does not know SelectModel; update it."
            with pytest.raises(UnknownCall, match=r"release 0\.9\.9.*WatchDecisions"):
                async with router.watch():
                    pass
            with pytest.raises(UnknownCall, match="SelectModelStream"):
                [placed async for placed in router.select_stream([CODE])]


async def test_what_knows_no_call_and_no_release_may_be_no_router(client):
    with serving(Older()) as address:
        async with client(address) as router:
            with pytest.raises(UnknownCall, match=r"older than 0\.1\.0, to be updated, or no router"):
                await router.server_info()
            assert isinstance(await refused(router, CODE), UnknownCall)


async def test_an_answer_that_is_no_message_is_an_error_of_its_own(client):
    with serving(Nonsense()) as address:
        async with client(address) as router:
            error = await refused(router, CODE)
    assert type(error) is RouterError
    assert error.status == "INTERNAL"


async def test_a_client_that_is_closed_says_so(client, address):
    router = client(address)
    await router.close()
    await router.close()
    assert "closed" in str(await refused(router, CODE))


async def test_an_error_is_whole_after_it_was_pickled(router):
    error = await refused(router, Question(profile="auto", cost_quality_tradeoff=11))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_watch_is_entered_first(address):
    with Router(address) as router, pytest.raises(RouterError, match="entered"):
        next(router.watch())


def test_an_async_client_is_made_where_a_loop_runs(address):
    with pytest.raises(RuntimeError, match="no running event loop"):
        AsyncRouter(address)


async def test_a_cancelled_call_ends_at_the_router_and_harms_no_other(address):
    slow = Slow()
    with serving(slow) as there:
        async with AsyncRouter(there) as router:
            asking = asyncio.ensure_future(router.select(CODE, timeout=30))
            assert await asyncio.to_thread(slow.asked.wait, 30)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(slow.left.wait, 30)
            with pytest.raises(UnknownCall):
                await router.models()


async def test_an_iterator_that_is_closed_ends_its_call_at_the_router(client):
    slow = Slow()
    with serving(slow) as there:
        async with client(there) as router:
            answers = router.select_stream([CODE, CODE])
            position, decision = await anext(answers)
            assert (position, decision.model) == (0, "a/b")
            await answers.aclose()
            assert await asyncio.to_thread(slow.left.wait, 30)


async def test_a_client_that_is_closed_ends_what_is_under_way(client):
    slow = Slow()
    with serving(slow) as there:
        router = client(there)
        asking = asyncio.ensure_future(router.select(CODE, timeout=30))
        assert await asyncio.to_thread(slow.asked.wait, 30)
        await router.close()
        with pytest.raises(RouterError, match="was closed while"):
            await asking
