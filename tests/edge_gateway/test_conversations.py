"""A request is recognised as part of the conversation whose replies it shows, and of no other."""

import asyncio
import dataclasses
import gc
import json
import re
import resource
import sys
import uuid
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from edge_gateway import aider as aider_understanding
from edge_gateway import chat_request
from edge_gateway.conversations import Conversations, Request
from edge_gateway.conversations.linking import MOST_ALIKE
from edge_gateway.conversations.memory import Conversation
from tests.conftest import System
from tests.edge_gateway.aider_process import INTERRUPTED, MODELS, NO_EDITS, PROMPTS, AiderProcess, edit
from tests.fakes import provider as fake
from tests.processes import Process, free_port, start_edge

PLAN = "Change `add` in calc.py so that it has type hints, and leave the rest as it is."
TYPED = "def add(a: int, b: int) -> int:\n    return a + b\n"
TOOL_CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.fixture
def aider(http, system) -> AiderProcess:
    return AiderProcess(http, system)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_that_shows_an_earlier_reply_goes_on_with_its_conversation(aider, stream):
    first = await aider.ask("what is it?", "  A function that adds.\n\n", stream=stream)
    second = await aider.ask("and why?", "Because.", stream=stream)
    third = await aider.ask("is that all?", "Yes.", stream=stream)
    assert first.conversation.startswith("conv_")
    assert first.conversation == second.conversation == third.conversation
    assert (first.linked, second.linked, third.linked) == ("new", "reply", "reply")
    assert third.explained()["conversationId"] == first.conversation
    assert third.previous["decisionId"] == second.decision
    assert third.previous["model"] == second.headers["x-served-model"]


async def test_a_commit_its_turn_and_what_follows_are_one_conversation(aider):
    first, committed = await aider.change("type it", TYPED)
    then = await aider.ask("more?", "No.")
    assert first.conversation == committed.conversation == then.conversation
    assert (committed.linked, then.linked) == ("commit", "reply")


async def test_a_plan_its_editor_and_the_commit_are_one_conversation(aider):
    plan = await aider.ask("type it", PLAN, "architect")
    editor = await aider.ask(PLAN, "Done: calc.py", "editor")
    committed = await aider.commit(asked=[("user", PLAN), ("assistant", "Done: calc.py")])
    aider.moved("I made those changes to the files.")
    then = await aider.ask("and now?", PLAN + " Once more.", "architect")
    assert len({plan.conversation, editor.conversation, committed.conversation, then.conversation}) == 1
    assert (editor.linked, committed.linked, then.linked) == ("plan", "commit", "reply")


async def test_a_summary_and_the_chat_after_it_go_on_with_the_conversation(aider):
    first = await aider.ask("what is it?", "A function that adds two numbers.")
    body = "# USER\nwhat is it?\n# ASSISTANT\nA function that adds two numbers.\n"
    messages = [("system", PROMPTS["summary"]), ("user", body)]
    summary = await aider.send(messages, "I asked what it is.", MODELS["summary"], temperature=0)
    words = "I spoke to you previously about a number of things.\nI asked what it is."
    aider.done, aider.current = [("user", words), ("assistant", "Ok.")], []
    then = await aider.ask("and why?", "Because.")
    assert first.conversation == summary.conversation == then.conversation
    assert (summary.linked, then.linked) == ("summary", "summary")


async def test_another_callers_history_is_never_recognised(aider, http, system):
    first = await aider.ask("what is it?", "A function that adds two numbers, and nothing else at all.")
    other = AiderProcess(http, system, done=list(aider.current))
    assert (await other.ask("and why?", "Because.")).conversation != first.conversation
    assert (await aider.ask("and why?", "Because.")).conversation == first.conversation


async def test_without_a_key_the_address_tells_callers_apart(http, system):
    aider = AiderProcess(http, system, key="")
    first = await aider.ask(f"what is {uuid.uuid4()}?", "A number.")
    assert (await aider.ask("and why?", "Because.")).conversation == first.conversation


async def test_of_two_conversations_alike_the_one_that_has_not_moved_on_is_meant(aider, http, system):
    twin = AiderProcess(http, system, key=aider.key)
    first = await aider.ask("hello", "Hello.")
    await aider.ask("more", "More.")
    second = await twin.ask("hello", "Hello.")
    assert second.conversation != first.conversation
    assert (await twin.ask("else", "Else.")).conversation == second.conversation
    assert (await aider.ask("again", "Again.")).conversation == first.conversation


async def test_where_two_conversations_fit_equally_a_new_one_is_begun(aider, http, system):
    twin = AiderProcess(http, system, key=aider.key)
    known = {(await aider.ask("hello", "Hello.")).conversation, (await twin.ask("hello", "Hello.")).conversation}
    third = await aider.ask("more", "More.")
    assert third.conversation not in known
    assert third.linked == "new"
    assert (await aider.ask("again", "Again.")).conversation == third.conversation


async def test_of_two_conversations_alike_other_files_tell_which_is_meant(aider, http, system):
    twin = AiderProcess(http, system, key=aider.key, files={"shop.py": "PRICE = 1\n"})
    first, second = await aider.ask("hello", "Hello."), await twin.ask("hello", "Hello.")
    assert (await aider.ask("more", "More.")).conversation == first.conversation
    assert (await twin.ask("more", "More.")).conversation == second.conversation


async def test_a_short_reply_of_long_ago_links_nothing_by_itself(aider, http, system):
    await aider.ask("hello", "Hello.")
    await aider.ask("more", "More.")
    other = AiderProcess(http, system, key=aider.key, done=[("user", "hello"), ("assistant", "Hello.")])
    assert (await other.ask("else", "Else.")).linked == "new"


@pytest.mark.parametrize("partial", ["", "It is a long story, and it beg"])
async def test_an_interrupted_reply_is_recognised_by_what_came_of_it(aider, partial):
    first = await aider.ask("tell me a lot", "It is a long story, and it begins before there were numbers.")
    aider.current = [("user", "tell me a lot")]
    if partial:
        aider.current += [("assistant", partial), ("user", "^C KeyboardInterrupt")]
    else:
        aider.current = [("user", "tell me a lot\n^C KeyboardInterrupt")]
    aider.current.append(("assistant", INTERRUPTED))
    then = await aider.ask("shorter, please", "Once.")
    assert then.conversation == first.conversation
    assert (then.linked, then.outcome) == ("interrupted", "interrupted")
    await first.reported("interrupted")


async def test_a_client_that_leaves_in_the_middle_comes_back_to_its_conversation(aider, http, system):
    async def slowly(request, body):
        response = await fake.stream(request, fake.EVENTS[:2])
        await asyncio.Event().wait()
        return response

    system.provider.script = dict.fromkeys(("first", "second"), slowly)
    turns = [{"role": role, "content": text} for role, text in aider.request("tell me a lot")]
    async with http.post(
        f"{system.url}/v1/chat/completions",
        json={"model": "auto", "stream": True, "messages": turns},
        headers={"authorization": f"Bearer {aider.key}"},
    ) as answer:
        conversation = answer.headers["x-router-conversation-id"]
        await answer.content.readany()
        answer.close()
    aider.current = [("user", "tell me a lot"), ("assistant", "grüß"), ("user", "^C KeyboardInterrupt")]
    aider.current.append(("assistant", INTERRUPTED))
    assert (await aider.ask("shorter, please", "Once.")).conversation == conversation


async def test_a_continuation_belongs_to_the_reply_it_continues_and_both_are_one_reply_later(aider):
    messages = aider.request("type it")
    first = await aider.send(messages, fake.saying("def add(a: int,  ", "length"), "auto", stream=True)
    began = ("assistant", "def add(a: int,")
    second = await aider.send([*messages, began], fake.saying(" b: int) -", "length"), "auto", stream=True)
    longer = ("assistant", began[1] + " b: int) -")
    third = await aider.send([*messages, longer], "> int: ...\n", "auto", stream=True)
    aider.current = [("user", "type it"), ("assistant", "def add(a: int, b: int) -> int: ...")]
    then = await aider.ask("more?", "No.")
    assert len({first.conversation, second.conversation, third.conversation, then.conversation}) == 1
    assert (second.linked, third.linked, then.linked) == ("continuation", "continuation", "reply")
    assert second.explained()["metadata"]["continuation"] == "true"
    assert second.previous["decisionId"] == first.decision
    assert then.previous["decisionId"] == third.decision


async def test_a_request_sent_again_after_a_failure_is_the_same_request(aider):
    await aider.change("type it", TYPED)
    messages = aider.request("more")
    first = await aider.send(messages, fake.refuse(500), "auto", stream=True)
    again = await aider.send(messages, fake.saying("Half a", breaks=True), "auto", stream=True)
    last = await aider.send(messages, "More.", "auto", stream=True)
    assert first.status == 503
    assert first.conversation == again.conversation == last.conversation
    assert (again.linked, last.explained()["metadata"]["retry"]) == ("retry", "true")
    assert first.outcome == again.outcome == last.outcome == "applied"
    assert first.previous == again.previous == last.previous
    aider.current = [("user", "more"), ("assistant", "More.")]
    then = await aider.ask("is that all?", "Yes.")
    assert (then.conversation, then.previous["decisionId"]) == (first.conversation, last.decision)


async def test_the_same_words_after_a_whole_reply_are_a_conversation_of_their_own(aider):
    messages = aider.request("hello")
    first = await aider.send(messages, "Hello.", "auto", stream=True)
    assert (await aider.send(messages, "Hello.", "auto", stream=True)).conversation != first.conversation
    aider.headers = {"x-stainless-retry-count": "1"}
    assert (await aider.send(messages, "Hello.", "auto", stream=True)).linked == "retry"


async def test_after_a_failure_the_next_question_goes_on_with_the_conversation(aider):
    first = await aider.ask("type the function, please", fake.refuse(500))
    then = await aider.ask("are you there?", "Yes.")
    assert (then.conversation, then.linked) == (first.conversation, "unanswered")


async def test_a_models_thoughts_may_be_left_out_of_the_history(aider):
    first = await aider.ask("why?", "<think>Let me see.</think>\n\nBecause.")
    aider.current = [("user", "why?"), ("assistant", "Because.")]
    assert (await aider.ask("really?", "Yes.")).conversation == first.conversation


async def test_a_client_that_is_not_aider_is_recognised_by_all_that_was_said_before(aider):
    system, question = ("system", "You are kind."), ("user", "How are you?")
    first = await aider.send([system, question], "Fine.", "auto")
    said = [question, ("assistant", "Fine."), ("user", "Why?")]
    # What the system prompt says may change with the time of day.
    then = await aider.send([("system", "You are kind. It is late."), *said], "Just so.", "auto")
    last = await aider.send([system, *said, ("assistant", "Just so."), ("user", "Good.")], "Yes.", "auto")
    assert first.conversation == then.conversation == last.conversation
    assert (then.linked, last.linked) == ("prefix", "prefix")
    other = await aider.send([system, ("user", "Hm?"), *said[1:]], "Just so.", "auto")
    assert other.conversation != first.conversation


async def test_a_reply_without_text_is_recognised_by_what_was_said_before(aider):
    question = ("user", f"What is the weather in {uuid.uuid4()}?")
    first = await aider.send([question], fake.saying(""), "auto")
    then = await aider.send([question, ("assistant", ""), ("tool", "rain")], "It rains.", "auto")
    assert then.conversation == first.conversation


async def calls_a_tool(request: web.Request, body: dict) -> web.StreamResponse:
    """A reply without text."""
    message = {"role": "assistant", "content": None, "tool_calls": TOOL_CALLS}
    return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})


async def test_every_run_of_an_agent_with_the_same_opening_is_a_conversation_of_its_own(aider):
    opening = [("system", "You are an agent."), ("user", f"Do the nightly job {uuid.uuid4()}, please.")]
    runs = []
    for number in range(3):
        first = await aider.send(opening, calls_a_tool, "auto")
        said = [*opening, ("assistant", ""), ("tool", f"result {number}")]
        second = await aider.send(said, calls_a_tool, "auto")
        third = await aider.send([*said, ("assistant", ""), ("tool", "more")], "Done.", "auto")
        assert first.linked == "new"
        assert first.conversation == second.conversation == third.conversation
        runs.append(first.conversation)
    assert len(set(runs)) == len(runs)


async def test_agents_at_work_side_by_side_are_never_taken_for_one_another(aider):
    opening = [("user", f"Do the nightly job {uuid.uuid4()}, please.")]
    owners: dict[str, int] = {}
    for step in range(4):
        for run in range(3):
            said = list(opening)
            for earlier in range(step):
                said += [("assistant", ""), ("tool", f"result {earlier} of {run}")]
            answer = await aider.send(said, calls_a_tool, "auto")
            assert owners.setdefault(answer.conversation, run) == run


async def test_a_reply_that_holds_nothing_at_all_is_asked_for_again(aider):
    opening = [("user", f"Do the nightly job {uuid.uuid4()}, please.")]
    first = await aider.send(opening, fake.saying(""), "auto")
    again = await aider.send(opening, "Done.", "auto")
    assert (again.conversation, again.linked) == (first.conversation, "retry")


async def test_of_many_chats_with_the_same_opening_each_goes_on_by_itself(aider):
    opening = [("user", f"Hello {uuid.uuid4()}, who are you?")]
    known = []
    for number in range(MOST_ALIKE + 3):
        known.append((await aider.send(opening, f"I am number {number}.", "auto")).conversation)
    assert len(set(known)) == len(known)
    for number, conversation in enumerate(known):
        said = [*opening, ("assistant", f"I am number {number}."), ("user", "And what do you do?")]
        assert (await aider.send(said, "This and that.", "auto")).conversation == conversation


async def test_many_requests_side_by_side_all_go_on_with_the_conversation_they_came_from(aider, http, system):
    opening = [("user", f"Start a story about {uuid.uuid4()}.")]
    first = await aider.send(opening, "Once upon a time there was a fox.", "auto")
    said = [*opening, ("assistant", "Once upon a time there was a fox.")]
    arrived, gate = [], asyncio.Event()

    async def together(request: web.Request, body: dict) -> web.StreamResponse:
        arrived.append(body)
        if len(arrived) == 12:
            gate.set()
        await gate.wait()
        return await fake.saying(f"Then {body['messages'][-1]['content']}.")(request, body)

    def ask(number: int):
        return aider.send([*said, ("user", f"variant {number}")], together, "auto")

    answers = await asyncio.gather(*(ask(number) for number in range(12)))
    assert {answer.conversation for answer in answers} == {first.conversation}
    more = await aider.send([*said, ("user", "variant 99")], "The end.", "auto")
    assert more.conversation == first.conversation


async def test_a_reply_that_begins_like_aiders_own_words_is_a_reply(aider):
    first = await aider.ask("explain calc.py, please", "It adds two numbers, and does nothing else at all.")
    second = await aider.ask("type it", "Ok, I read calc.py; here is the change:" + edit("def nothing", "def x"))
    aider.current += [("user", NO_EDITS), ("assistant", "Ok.")]
    then = await aider.ask("# 1 SEARCH/REPLACE block failed to match!\n", "Sorry.")
    assert (then.outcome, then.previous["decisionId"]) == ("edit_failed", second.decision)
    assert first.conversation == then.conversation


async def test_what_two_keys_name_alike_stays_apart_at_the_router_too(aider, http, system):
    named = {"x-session-id": uuid.uuid4().hex}
    aider.headers, other = named, AiderProcess(http, system, headers=named)
    first, second = await aider.ask("hello", "Hello."), await other.ask("hello", "Hello.")
    assert first.conversation == second.conversation == named["x-session-id"]
    assert second.headers["x-router-source"] != "pinned"
    tenants = [answer.explained()["tenant"] for answer in (first, second)]
    assert tenants[0] != tenants[1]
    assert all(re.fullmatch(r"key-[0-9a-f]{12}", tenant) for tenant in tenants)
    assert (await aider.ask("more", "More.")).explained()["tenant"] == tenants[0]
    assert "tenant" not in (await AiderProcess(http, system, key="").ask("hello", "Hello.")).explained()


@pytest.mark.parametrize(
    ("base", "header"),
    [("/s/my-1/v1", None), ("/v1", "OpenAI-Project"), ("/v1", "x-session-id")],
)
async def test_a_stated_name_is_the_conversation_whatever_is_said(aider, base, header):
    aider.base, aider.headers = base, {header: "my-1"} if header else {}
    first = await aider.ask("hello", "Hello.")
    aider.current = []
    then = await aider.ask("something else", "Else.")
    assert first.conversation == then.conversation == "my-1"
    assert (first.linked, then.linked) == ("explicit", "explicit")
    assert then.explained()["conversationId"] == "my-1"


async def test_a_real_project_of_openai_is_shared_by_many_and_no_conversation(aider):
    aider.headers = {"OpenAI-Project": "proj_4Fh2kd93Kdja9"}
    first = await aider.ask("hello", "Hello.")
    aider.current = []
    then = await aider.ask("something else", "Else.")
    assert first.conversation.startswith("conv_")
    assert then.conversation != first.conversation


async def test_what_the_previous_request_began_with_is_told_as_a_prefix(aider):
    first = await aider.ask("hello", "Hello.")
    assert "prefixTokens" not in first.explained()["requirements"]
    then = await aider.ask("more", "More.")
    needs = then.explained()["requirements"]
    # All but the question, which comes back without the rules behind it.
    characters = sum(len(text) for _, text in aider.request("")[:3])
    assert needs["prefixTokens"] == int(characters / 3.5)
    assert needs["prefixTokens"] < needs["inputTokens"]


async def test_what_was_understood_stands_with_the_decision(aider):
    answer = await aider.ask("hello", "Hello.")
    assert answer.explained()["metadata"] == {
        "linked": "new", "files": "1", "files_characters": str(len(aider.files["calc.py"])),
    }  # fmt: skip


def edge_of(system: System, portkey: int, edge_config, **env: str) -> tuple[System, Process]:
    port = free_port()
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{system.router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
        **env,
    )
    return dataclasses.replace(system, url=f"http://127.0.0.1:{port}", edge=edge), edge


async def test_of_too_many_conversations_the_least_recently_used_is_forgotten(http, system, portkey, edge_config):
    small, edge = edge_of(system, portkey, edge_config, EDGE_CONVERSATIONS="2")
    try:
        one, two, three = (AiderProcess(http, small) for _ in range(3))
        known = {id(one): await one.ask("hello", "Hello."), id(two): await two.ask("hello", "Hello.")}
        assert (await one.ask("more", "More.")).conversation == known[id(one)].conversation
        await three.ask("hello", "Hello.")
        assert (await one.ask("again", "Again.")).conversation == known[id(one)].conversation
        assert (await two.ask("more", "More.")).conversation != known[id(two)].conversation
    finally:
        edge.stop()


async def test_a_request_that_is_refused_before_its_decision_pushes_no_conversation_out(
    http, system, portkey, edge_config
):
    small, edge = edge_of(system, portkey, edge_config, EDGE_CONVERSATIONS="2")
    try:
        aider, other = AiderProcess(http, small), AiderProcess(http, small)
        first = await aider.ask("hello", "Hello.")
        for number in range(4):
            refused = await other.send([("user", f"hello {number}")], "Hello.", "nobody")
            assert refused.status == 404
        assert (await aider.ask("more", "More.")).conversation == first.conversation
    finally:
        edge.stop()


def resident_mb(edge: Process) -> float:
    return int(Path(f"/proc/{edge.popen.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def test_no_text_of_a_reply_to_be_continued_is_kept(http, system, portkey, edge_config):
    own, edge = edge_of(system, portkey, edge_config)
    try:
        aider, before = AiderProcess(http, own), 0.0
        for number in range(60):
            began = ("assistant", f"{number} " + "x" * 1_000_000)
            refused = await aider.send([("user", f"go on {number}"), began], fake.refuse(400), "auto")
            assert refused.status == 400
            if number == 9:
                # By now the process has grown to what such requests take while they are served.
                before = resident_mb(edge)
        assert resident_mb(edge) - before < 25
    finally:
        edge.stop()


async def test_an_idle_conversation_is_forgotten(http, system, portkey, edge_config):
    small, edge = edge_of(system, portkey, edge_config, EDGE_CONVERSATION_IDLE_SECONDS="0.000001")
    try:
        aider = AiderProcess(http, small)
        first = await aider.ask("hello", "Hello.")
        await AiderProcess(http, small).ask("hello", "Hello.")
        assert (await aider.ask("more", "More.")).conversation != first.conversation
    finally:
        edge.stop()


async def test_many_conversations_at_once_are_kept_apart(http, system):
    key = uuid.uuid4().hex
    aiders = [AiderProcess(http, system, key=key) for _ in range(20)]
    found = []
    for number, aider in enumerate(aiders):
        found.append((await aider.ask(f"question {number}", f"Answer {number}.")).conversation)
    system.provider.script = dict.fromkeys(("first", "second"), fake.saying("Yes."))

    async def more(aider: AiderProcess) -> str:
        turns = [{"role": role, "content": text} for role, text in aider.request("more")]
        async with aiohttp.ClientSession() as own:
            body = {"model": "auto", "messages": turns, "stream": True}
            headers = {"authorization": f"Bearer {key}"}
            async with own.post(f"{system.url}/v1/chat/completions", json=body, headers=headers) as answer:
                await answer.read()
                return answer.headers["x-router-conversation-id"]

    assert await asyncio.gather(*(more(aider) for aider in aiders)) == found
    assert len(set(found)) == len(found)


SLOW = {
    "a commit": lambda size: [("system", PROMPTS["commit"]), ("user", "USER: a\nASSISTANT: b\n" * (size // 22) + DIFFS)],
    "acknowledgements": lambda size: [
        ("system", PROMPTS["commit"]), ("user", "ASSISTANT: Ok.\n" * (size // 15) + DIFFS),
    ],
    "diffs": lambda size: [("system", PROMPTS["commit"]), ("user", DIFFS + "diff --git a/x b/y\n" * (size // 20))],
    "a summary": lambda size: [("system", PROMPTS["summary"]), ("user", "# USER\na\n# ASSISTANT\nb\n" * (size // 22))],
    "an interruption": lambda size: [
        ("system", PROMPTS["code"]), ("user", "hi"), ("user", "^C KeyboardInterrupt\n\n" * (size // 22)),
        ("assistant", INTERRUPTED), ("user", "hi"),
    ],
    "many replies to one text": lambda size: [
        ("system", PROMPTS["code"]), ("user", "x " * (size // 2)), *[("assistant", "y" * 300)] * 16, ("user", "hi"),
    ],
}  # fmt: skip
DIFFS = "\n# Diffs:\n"


def request_of(messages: list[tuple[str, str]]) -> Request:
    body = {"model": "auto", "messages": [{"role": role, "content": text} for role, text in messages]}
    raw = json.dumps(body).encode()
    parsed = chat_request.parse(raw)
    found = aider_understanding.understand(parsed)
    return Request(
        b"caller", "", hash(raw), False, found.purpose, parsed.turns, found.user_text, found.previous_outcome,
        found.failures, found.continuation, {},
    )  # fmt: skip


def steps(messages: list[tuple[str, str]], known: Conversations) -> int:
    """How many calls recognising a request makes, those into C included."""
    asked, count = request_of(messages), 0

    def called(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        known.decided(known.recognise(asked, 0.0, "conv_1"), "dec_1", True)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", SLOW)
def test_a_request_made_to_be_slow_takes_no_more_steps_to_recognise_than_a_small_one(name):
    few, many = (steps(SLOW[name](size), Conversations(10, 10.0)) for size in (250_000, 1_000_000))
    assert few <= 30_000
    assert many <= few + 100


def test_a_long_chat_takes_a_few_steps_a_turn_to_recognise():
    said = [("user", "x"), ("assistant", "y")] * 10_000
    assert steps([*said, ("user", "hi")], Conversations(10, 10.0)) <= 3 * len(said) + 5_000
    history = [("system", PROMPTS["code"]), *said, ("user", "hi")]
    assert steps(history, Conversations(10, 10.0)) <= 3 * len(said) + 5_000


def alike(known: Conversations, count: int, stated: str = "") -> None:
    """Conversations that begin with the same words, and in which the same is replied."""
    for number in range(count):
        asked = request_of(BEGUN)
        if stated:
            asked = msgspec.structs.replace(asked, stated=f"{stated}{number}")
        recognised = known.recognise(asked, 0.0, f"conv_{number}")
        known.decided(recognised, f"dec_{number}", True)
        known.ended(recognised.exchange, "fake/first", "completed", "Done.", said=True)


BEGUN = [("system", PROMPTS["code"]), ("user", "mend it")]
GOES_ON = [*BEGUN, ("assistant", "Done."), ("user", "and now?")]


def test_a_reply_that_was_given_thousands_of_times_takes_no_more_steps_than_one_of_hundreds():
    few, many = Conversations(10_000, 10.0), Conversations(10_000, 10.0)
    alike(few, 500)
    alike(many, 5_000)
    assert steps(GOES_ON, many) <= steps(GOES_ON, few) + 100


def test_a_stated_conversation_knows_its_reply_however_many_others_had_the_same():
    known = Conversations(10_000, 10.0)
    alike(known, 1_000, stated="mine-")
    asked = msgspec.structs.replace(request_of(GOES_ON), stated="mine-3")
    found = known.recognise(asked, 0.0, "conv_new")
    assert (found.conversation_id, found.previous.decision_id) == ("mine-3", "dec_3")


def test_a_forgotten_conversation_is_freed_without_the_garbage_collector():
    known = Conversations(3, 10.0)
    gc.collect()
    gc.disable()
    try:
        for number in range(20):
            asked = request_of([("system", PROMPTS["code"]), ("user", f"change number {number}")])
            recognised = known.recognise(asked, 0.0, f"conv_{number}")
            known.decided(recognised, f"dec_{number}", True)
            known.ended(recognised.exchange, "fake/first", "completed", "Done.", said=True)
        del recognised
        held = [thing for thing in gc.get_objects() if isinstance(thing, Conversation)]
        assert len(held) == 3
    finally:
        gc.enable()
