"""What the next request shows of a reply reaches the router: for the right decision, with the last word, and once."""

import asyncio
import json
import uuid
from dataclasses import replace

import pytest

from tests.conftest import System
from tests.edge_gateway.aider_process import NO_EDITS, PROMPTS, AiderProcess, Answer, edit
from tests.fakes.provider import FakeProvider, refuse
from tests.fakes.provider import answer as counting
from tests.processes import free_port, log_events, start_edge, start_router, wait_until

BEFORE = "def add(a, b):\n    return a + b\n"
TYPED = "def add(a: int, b: int) -> int:\n    return a + b\n"
NAMED = "def plus(a: int, b: int) -> int:\n    return a + b\n"
UNMATCHED = "# 1 SEARCH/REPLACE block failed to match!\n\n## SearchReplaceNoExactMatch: no match in calc.py\n"
LINT = "# Fix any errors below, if possible.\n\ncalc.py:1: SyntaxError\n"
TEST = "I ran this command:\n\npytest\n\nAnd got this output:\n\n1 failed\n"


@pytest.fixture
def aider(http, system) -> AiderProcess:
    return AiderProcess(http, system)


async def test_the_tokens_of_a_stream_without_usage_are_estimated_and_told_as_such(aider):
    text = "I would rather not, for these reasons: " + "it is long. " * 100
    report = await (await aider.ask("type it", text)).reported("completed")
    assert report["tokensEstimated"]
    assert report["outputTokens"] == pytest.approx(len(text) / 4, rel=0.3)
    assert report["inputTokens"] > 50
    counted = await aider.send(aider.request("again"), counting, "auto", stream=True)
    report = await counted.reported("completed")
    assert (report["inputTokens"], report["outputTokens"], "tokensEstimated" in report) == (11, 7, False)


async def test_a_commit_tells_that_its_replys_edits_were_applied(aider):
    answer, _ = await aider.change("type it", TYPED)
    report = await answer.reported("applied")
    assert report["servedModel"] == answer.headers["x-served-model"]
    assert not {"latency", "timeToFirstByte", "inputTokens", "costUsd"} & set(report)


async def test_a_later_verdict_on_the_same_reply_is_told_too_and_each_only_once(aider):
    answer, _ = await aider.change("type it", TYPED)
    aider.current = [("user", TEST.strip()), ("assistant", "Ok.")]
    then = await aider.ask(TEST, "Now?")
    assert then.outcome == "command_failed"
    assert then.previous["decisionId"] == answer.decision
    assert then.previous["consecutiveFailures"] == 1
    await answer.reported("command_failed")
    await then.reported("completed")
    assert sorted(answer.reports()) == ["applied", "command_failed", "completed"]


async def test_edits_that_fail_are_counted_and_told_of_each_reply(aider):
    decisions = []
    for failures in range(4):
        answer = await aider.ask(UNMATCHED if failures else "type it", edit(f"def nothing_{failures}", "def x"))
        assert answer.outcome == ("edit_failed" if failures else "none")
        if failures:
            assert answer.previous["consecutiveFailures"] == failures
            assert answer.previous["decisionId"] == decisions[-1].decision
            await decisions[-1].reported("edit_failed")
        decisions.append(answer)
        aider.current += [("user", NO_EDITS), ("assistant", "Ok.")]
    assert answer.explained()["metadata"]["failures"] == "3"


async def test_a_failure_that_is_asked_again_is_counted_once(aider):
    await aider.ask("type it", edit("def nothing", "def x"))
    messages = aider.request(UNMATCHED)
    first = await aider.send(messages, refuse(500), "auto", stream=True)
    again = await aider.send(messages, "Sorry.", "auto", stream=True)
    assert first.previous == again.previous
    assert again.previous["consecutiveFailures"] == 1


async def test_a_reply_without_edits_and_a_lint_failure_are_told(aider):
    talk = await aider.ask("type it", "I would rather not do that, and here is a reason.")
    aider.moved(NO_EDITS)
    assert (await aider.ask("please", "No.")).outcome == "no_edits"
    await talk.reported("no_edits")
    aider.done, aider.current = [], []
    answer, _ = await aider.change("type it", TYPED)
    assert (await aider.ask(LINT, "Fixed.")).outcome == "lint_failed"
    await answer.reported("lint_failed")


async def test_an_editors_success_is_its_plans_too_and_its_failure_is_not(aider):
    wish = "Change `add` in calc.py so that it has type hints."
    plan = await aider.ask("type it", wish, "architect")
    bad = await aider.ask(wish, edit("def nothing", "def x"), "editor")
    history = [
        ("user", wish),
        ("assistant", edit("def nothing", "def x").strip()),
        ("user", NO_EDITS),
        ("assistant", "Ok."),
    ]
    messages = aider.request(UNMATCHED, "editor")
    good = await aider.send([messages[0], *history, *messages[1:]], edit(BEFORE, TYPED), "auto-editor", stream=True)
    assert (good.outcome, good.previous["decisionId"]) == ("edit_failed", bad.decision)
    said = [*history, ("user", UNMATCHED), ("assistant", edit(BEFORE, TYPED).strip())]
    await aider.commit(asked=said)
    aider.moved("I made those changes to the files.")
    aider.files = {"calc.py": TYPED}
    then = await aider.ask("and now?", wish + " Again.", "architect")
    assert (then.outcome, then.previous["decisionId"]) == ("applied", plan.decision)
    await good.reported("applied")
    await plan.reported("applied")
    assert sorted(plan.reports()) == ["applied", "completed"]
    assert sorted(bad.reports()) == ["completed", "edit_failed"]


async def test_a_commit_of_the_users_own_changes_tells_nothing(aider):
    answer = await aider.ask("type it", "I would rather not.")
    aider.current = []
    committed = await aider.commit()
    assert committed.linked == "new"
    await committed.reported("completed")
    assert answer.reports() == ["completed"]


async def test_files_that_are_as_before_an_applied_edit_tell_that_it_was_undone(aider):
    answer, _ = await aider.change("type it", TYPED)
    aider.files = {"calc.py": BEFORE}
    then = await aider.ask("use a docstring instead", "Fine.")
    assert (then.outcome, then.previous["decisionId"]) == ("undone", answer.decision)
    assert then.previous["outcome"] == "OUTCOME_UNDONE"
    await answer.reported("undone")
    # The history still tells of the commit, and the reply after it was a talk.
    assert (await aider.ask("well?", "Well.")).outcome == "none"


async def test_an_undone_plan_is_its_editors_too(aider):
    plan = await aider.ask("type it", "Change `add` so that it has type hints.", "architect")
    editor = await aider.ask("Change `add` so that it has type hints.", edit(BEFORE, TYPED), "editor")
    said = [("user", "Change `add` so that it has type hints."), ("assistant", edit(BEFORE, TYPED).strip())]
    await aider.commit(asked=said)
    aider.moved("I made those changes to the files.")
    then = await aider.ask("not like that", "Sorry.", "architect")
    assert (then.outcome, then.previous["decisionId"]) == ("undone", plan.decision)
    await plan.reported("undone")
    await editor.reported("undone")


async def test_an_undo_after_more_talk_is_told_once_and_of_the_edit(aider):
    answer, _ = await aider.change("type it", TYPED)
    talk = await aider.ask("what does it do?", "It adds two numbers.", "ask")
    assert talk.outcome == "applied"
    aider.files = {"calc.py": BEFORE}
    then = await aider.ask("do it otherwise", "How?")
    assert then.outcome == "undone"
    assert (await aider.ask("well?", "Well.")).outcome == "none"
    await answer.reported("undone")
    assert talk.reports() == ["completed"]


async def test_two_edits_undone_one_after_the_other_are_each_told(aider):
    first, _ = await aider.change("type it", TYPED)
    second, _ = await aider.change("rename it", NAMED)
    aider.files = {"calc.py": TYPED}
    assert (await aider.ask("no", "Sorry.")).outcome == "undone"
    aider.files = {"calc.py": BEFORE}
    assert (await aider.ask("no!", "Sorry.")).outcome == "undone"
    await second.reported("undone")
    await first.reported("undone")


async def test_an_edit_that_the_model_takes_back_itself_is_not_undone(aider):
    first, _ = await aider.change("type it", TYPED)
    back, _ = await aider.change("take that back", BEFORE)
    then = await aider.ask("thanks", "Welcome.")
    assert then.outcome == "applied"
    await back.reported("applied")
    assert "undone" not in first.reports() + back.reports()


async def test_an_edit_of_a_file_that_is_not_in_the_chat_is_never_taken_for_undone(aider):
    answer = await aider.ask("type it", edit("PRICE = 1", "PRICE = 2", "shop.py"))
    await aider.commit("shop.py")
    aider.moved()
    then = await aider.ask("more?", "No.")
    assert (then.outcome, then.previous["decisionId"]) == ("applied", answer.decision)
    aider.files = {}
    answer = await aider.ask("again", edit("PRICE = 2", "PRICE = 3", "shop.py"))
    await aider.commit("shop.py")
    aider.moved()
    assert (await aider.ask("more?", "No.")).outcome == "applied"


async def test_a_file_that_came_into_the_chat_meanwhile_changes_nothing(aider):
    await aider.change("type it", TYPED)
    aider.files = {"calc.py": TYPED, "shop.py": "PRICE = 1\n"}
    assert (await aider.ask("more?", "No.")).outcome == "applied"
    aider.done, aider.current = [], []
    aider.files = {"calc.py": BEFORE}
    await aider.change("type it all", TYPED)
    aider.files = {"calc.py": BEFORE, "shop.py": "PRICE = 1\n"}
    assert (await aider.ask("more?", "No.")).outcome == "undone"


async def test_without_git_files_that_did_not_change_are_no_undo(aider):
    await aider.ask("type it", edit(BEFORE, BEFORE))
    aider.moved("I updated the files.")
    assert (await aider.ask("more?", "No.")).outcome == "applied"


async def test_in_a_named_conversation_the_latest_reply_of_the_role_is_meant_when_the_history_shows_none(aider):
    aider.base = f"/s/{uuid.uuid4().hex}/v1"
    answer = await aider.ask("type it", edit(BEFORE, TYPED))
    aider.current = [
        ("user", "type it"),
        ("assistant", "what the client made of it"),
        ("user", NO_EDITS),
        ("assistant", "Ok."),
    ]
    then = await aider.ask(UNMATCHED, "Sorry.")
    assert (then.outcome, then.previous["decisionId"]) == ("edit_failed", answer.decision)
    await answer.reported("edit_failed")


async def test_in_a_named_conversation_nothing_is_told_of_a_reply_to_another_question(aider, http, system):
    aider.base = f"/s/{uuid.uuid4().hex}/v1"
    other = AiderProcess(http, system, key=aider.key, base=aider.base)
    await aider.ask("type it", edit("def nothing", "def x"))
    for number in range(9):
        latest = await other.ask(f"question {number}?", f"This is answer number {number}.")
    aider.current += [("user", NO_EDITS), ("assistant", "Ok.")]
    then = await aider.ask(UNMATCHED, "Sorry.")
    assert (then.outcome, "decisionId" in then.previous) == ("edit_failed", False)
    await then.reported("completed")
    assert latest.reports() == ["completed"]


async def test_in_a_named_conversation_nothing_is_told_of_a_reply_that_is_still_to_come(aider):
    aider.base = f"/s/{uuid.uuid4().hex}/v1"
    await aider.ask("type it", refuse(500))
    aider.current = [("user", "type it"), ("assistant", "what another model said"), ("user", NO_EDITS)]
    aider.current.append(("assistant", "Ok."))
    then = await aider.ask(UNMATCHED, "Sorry.")
    assert (then.outcome, "decisionId" in then.previous) == ("edit_failed", False)


async def test_an_undo_is_seen_though_the_reply_made_a_new_file_as_well(aider):
    answer = await aider.ask("type it, and test it", edit(BEFORE, TYPED) + edit("", "assert add(1, 1)", "test_calc.py"))
    said = "".join(f"\n{role.upper()}: {text}\n" for role, text in aider.current)
    diffs = "".join(f"diff --git a/{name} b/{name}\n@@ -1 +1 @@\n-a\n+b\n" for name in ("calc.py", "test_calc.py"))
    messages = [("system", PROMPTS["commit"]), ("user", f"{said}\n# Diffs:\n{diffs}")]
    await aider.send(messages, "feat: types", "auto-weak", temperature=0)
    aider.moved()
    then = await aider.ask("do it otherwise", "Fine.")
    assert (then.outcome, then.previous["decisionId"]) == ("undone", answer.decision)
    await answer.reported("undone")


async def test_a_file_that_a_reply_only_speaks_of_is_not_undone_when_it_stays_as_it_is(aider):
    """No commit is seen: it was made elsewhere."""
    quoted = f"As it is:\n\ncalc.py\n```python\n{BEFORE}```\n\n**calc.py**\n\nstays so.\n\n"
    answer = await aider.ask("add a test", quoted + edit("", "assert add(1, 1)", "test_calc.py"))
    aider.files = {"calc.py": BEFORE, "test_calc.py": "assert add(1, 1)\n"}
    aider.moved()
    assert (await aider.ask("thanks", "Fine.")).outcome == "applied"
    await answer.reported("applied")
    assert "undone" not in answer.reports()


@pytest.mark.parametrize("seen", [True, False])
async def test_without_the_commit_an_undo_is_seen_by_the_files_that_the_reply_names(aider, seen):
    answer = await aider.ask("type it", edit(BEFORE, TYPED))
    aider.moved()
    if seen:
        aider.files = {"calc.py": TYPED}
        assert (await aider.ask("good?", "Good.")).outcome == "applied"
        aider.files = {"calc.py": BEFORE}
    assert (await aider.ask("do it otherwise", "Fine.")).outcome == "undone"
    await answer.reported("undone")


async def plan_that_fails(aider: AiderProcess, tries: int) -> tuple[Answer, list[Answer]]:
    """A plan, and its editor's replies, of which none can be applied; Aider says all the same that they were."""
    wish = f"Change `add` in calc.py so that it has type hints, and leave all the rest as it is: {uuid.uuid4()}."
    plan = await aider.ask("type it", wish, "architect")
    said: list[tuple[str, str]] = []
    answers, text = [], wish
    for number in range(tries):
        rules, *shown = aider.request(text, "editor")
        reply = edit(f"def nothing_{number}", "def x")
        answers.append(await aider.send([rules, *said, *shown], reply, "auto-editor", stream=True))
        said += [("user", text), ("assistant", reply.strip()), ("user", NO_EDITS), ("assistant", "Ok.")]
        text = UNMATCHED
    aider.moved("I made those changes to the files.")
    return plan, answers


async def test_of_a_plan_whose_editor_failed_to_the_end_nothing_is_told_and_the_editors_last_reply_has_failed(aider):
    plan, answers = await plan_that_fails(aider, 4)
    then = await aider.ask("and now?", "Change it otherwise, in another way.", "architect")
    assert (then.outcome, then.previous["decisionId"]) == ("none", plan.decision)
    for answer in answers:
        await answer.reported("edit_failed")
        assert sorted(answer.reports()) == ["completed", "edit_failed"]
    assert plan.reports() == ["completed"]


async def test_a_plan_whose_editor_failed_at_first_is_applied_where_the_files_have_changed_since(aider):
    plan, answers = await plan_that_fails(aider, 2)
    aider.files = {"calc.py": TYPED}
    then = await aider.ask("and now?", "Change it otherwise, in another way.", "architect")
    assert (then.outcome, then.previous["decisionId"]) == ("applied", plan.decision)
    await plan.reported("applied")
    assert answers[-1].reports() == ["completed"]


async def test_a_plan_of_whose_editor_no_failure_was_seen_is_applied_as_aider_says(aider):
    plan, _ = await plan_that_fails(aider, 1)
    assert (await aider.ask("and now?", "Change it otherwise.", "architect")).outcome == "applied"
    await plan.reported("applied")


async def test_an_undo_is_not_forgotten_when_the_request_that_shows_it_gets_no_decision(aider):
    answer, _ = await aider.change("type it", TYPED)
    aider.files = {"calc.py": BEFORE}
    messages = aider.request("do it otherwise")
    unknown = await aider.send(messages, "Fine.", "nobody", stream=True)
    assert (unknown.status, unknown.outcome) == (404, "undone")
    assert "undone" not in answer.reports()
    then = await aider.ask("do it otherwise", "Fine.")
    assert (then.outcome, then.previous["decisionId"]) == ("undone", answer.decision)
    await answer.reported("undone")


async def test_a_failure_is_counted_once_though_a_request_that_showed_it_got_no_decision(aider):
    answer = await aider.ask("type it", edit("def nothing", "def x"))
    aider.current += [("user", NO_EDITS), ("assistant", "Ok.")]
    assert (await aider.send(aider.request(UNMATCHED), "Fine.", "nobody", stream=True)).status == 404
    then = await aider.ask(UNMATCHED, "Sorry.")
    assert then.previous["consecutiveFailures"] == 1
    assert then.previous["decisionId"] == answer.decision


async def test_what_the_router_was_not_there_to_hear_is_told_when_it_is_back(
    http, system, portkey, edge_config, router_config, tmp_path
):
    router_port, port = free_port(), free_port()
    ledger = {"ROUTER_CONFIG": str(router_config), "ROUTER_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.db'}"}
    router = start_router(router_port, **ledger)
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    try:
        aider = AiderProcess(http, System(f"http://127.0.0.1:{port}", router_port, system.provider, router, edge))
        answer = await aider.ask("type it", edit(BEFORE, TYPED))
        await answer.reported("completed")
        router.stop()
        committed = await aider.commit()
        assert committed.headers["x-router-source"] == "edge_default"
        router = start_router(router_port, **ledger)
        await answer.reported("applied")
        assert answer.reports() == ["completed", "applied"]
    finally:
        edge.stop()
        router.stop()
    assert log_events(edge, "report_failed") == []


async def test_an_edge_that_stops_does_not_wait_for_a_router_that_stays_away(
    http, system, portkey, edge_config, router_config
):
    router_port, port = free_port(), free_port()
    router = start_router(router_port, ROUTER_CONFIG=str(router_config))
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    aider = AiderProcess(http, System(f"http://127.0.0.1:{port}", router_port, system.provider, router, edge))
    await (await aider.ask("type it", edit(BEFORE, TYPED))).reported("completed")
    router.stop()
    await aider.commit()
    # One that waited would be killed in the end.
    assert edge.stop() == 0
    assert len(log_events(edge, "report_failed")) == 1


async def test_a_switch_of_models_is_told_of_the_one_that_answered(aider, system):
    answer = await aider.ask("type it", edit("def nothing", "def x"))
    aider.current += [("user", NO_EDITS), ("assistant", "Ok.")]
    then = await aider.ask(UNMATCHED, "Sorry.")
    assert then.previous["model"] == answer.headers["x-served-model"]


async def test_of_a_decision_that_no_router_made_none_is_told(http, system, portkey, edge_config):
    port, router_port = free_port(), free_port()
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
    )
    alone = System(f"http://127.0.0.1:{port}", 0, system.provider, system.router, edge)
    try:
        aider = AiderProcess(http, alone)
        answer, _ = await aider.change("type it", TYPED)
        assert answer.headers["x-router-source"] == "edge_default"
        assert (await aider.ask("more?", "No.")).outcome == "applied"
    finally:
        # A stopping edge waits for its reports.
        edge.stop()
    assert log_events(edge, "report_failed") == []


async def test_a_request_that_portkey_took_and_lost_is_told_of_the_model_that_may_have_been_asked(
    http, system, edge_config
):
    async def lose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    losing, port = await asyncio.start_server(lose, "127.0.0.1", 0), free_port()
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{system.router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_BASE_URL=f"http://127.0.0.1:{losing.sockets[0].getsockname()[1]}/v1",
    )
    try:
        aider = AiderProcess(http, replace(system, url=f"http://127.0.0.1:{port}", edge=edge))
        answer = await aider.ask("type it", "Never said.")
        assert answer.status == 503
        assert answer.headers["x-served-model"] == answer.headers["x-router-model"]
        report = await answer.reported("provider_failed")
        assert report["servedModel"] == answer.headers["x-router-model"]
    finally:
        edge.stop()
        losing.close()


@pytest.mark.parametrize("works", [True, False])
async def test_hosted_portkey_is_told_how_replies_fared_where_that_is_wanted(http, system, edge_config, works):
    hosted, port = FakeProvider(), free_port()
    if not works:
        # What has no model is no completion.
        hosted.script[""] = refuse(500)
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{system.router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_API_KEY="pk-test",
        PORTKEY_BASE_URL=hosted.url,
        EDGE_PORTKEY_FEEDBACK="true",
    )
    try:
        aider = AiderProcess(http, replace(system, url=f"http://127.0.0.1:{port}", provider=hosted, edge=edge))
        answer, _ = await aider.change("type it", TYPED)
        assert (await aider.ask(LINT, "Fixed.")).outcome == "lint_failed"

        def told() -> list[dict]:
            return [json.loads(seen.raw) for seen in hosted.seen if seen.path == "/v1/feedback"]

        await asyncio.to_thread(wait_until, lambda: len(told()) == 2, "the feedback")
        assert [(one["trace_id"], one["value"]) for one in told()] == [(answer.decision, 10), (answer.decision, -10)]
        assert all(0 <= one["weight"] <= 1 for one in told())
        sent = next(seen.headers for seen in hosted.seen if seen.path == "/v1/feedback")
        assert {name.lower(): value for name, value in sent.items()}["x-portkey-api-key"] == "pk-test"
    finally:
        # A stopping edge waits for what it tells.
        edge.stop()
        hosted.close()
    assert len(log_events(edge, "feedback_failed")) == (0 if works else 2)
    assert "pk-test" not in edge.text()


async def test_hosted_portkey_is_told_nothing_unasked(http, system, edge_config):
    hosted, port = FakeProvider(), free_port()
    edge = start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{system.router_port}",
        EDGE_CONFIG=str(edge_config),
        PORTKEY_API_KEY="pk-test",
        PORTKEY_BASE_URL=hosted.url,
    )
    try:
        aider = AiderProcess(http, replace(system, url=f"http://127.0.0.1:{port}", provider=hosted, edge=edge))
        answer, _ = await aider.change("type it", TYPED)
        await answer.reported("applied")
    finally:
        edge.stop()
        hosted.close()
    assert [seen for seen in hosted.seen if seen.path == "/v1/feedback"] == []
