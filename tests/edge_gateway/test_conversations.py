"""A request is recognised as part of the conversation whose replies it shows, and of no other."""

import asyncio
import dataclasses
import uuid

import aiohttp
import pytest

from tests.conftest import System
from tests.edge_gateway.aider_process import INTERRUPTED, MODELS, PROMPTS, AiderProcess
from tests.fakes import provider as fake
from tests.processes import Process, free_port, start_edge

PLAN = "Change `add` in calc.py so that it has type hints, and leave the rest as it is."
TYPED = "def add(a: int, b: int) -> int:\n    return a + b\n"


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
