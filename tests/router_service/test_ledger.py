"""The ledger: one suite for memory, SQLite and a real PostgreSQL, and what only a database has to keep to."""

import asyncio
import hashlib
import json
import math
import random
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from router_service.domain import (
    Consultation,
    Decision,
    Message,
    Outcome,
    PinTrace,
    PreviousReply,
    Purpose,
    Ranked,
    Removed,
    Request,
    Requirements,
    ShadowTrace,
    Source,
)
from router_service.errors import InvalidConfiguration, InvalidRequest, MigrationImpossible, UnknownDecision
from router_service.ledger import Contents, Ledger, LedgerUnavailable, MemoryLedger, open_ledger, reads
from router_service.ledger.database import LATEST, open_database
from router_service.ledger.documents import decision_from, key_of, report_from, to_document
from router_service.ledger.migration import MIGRATIONS, migrate
from router_service.ledger.sql import SqlLedger
from router_service.ledger.summaries import MOST_REPORTS, VERDICTS, Arrived, add_up
from router_service.ledger.tables import METADATA
from router_service.records import Query, Report, Savings, Spending, Summary, Verdict
from tests.databases import MISSING, PASSWORD, Postgres, programs
from tests.processes import NEVER, Process, wait_until

SENTINEL = "sentinel-prompt-8f3a"
DATABASES = ["sqlite", "postgresql"]
EVERYTHING = Query()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if programs() is None:
        pytest.skip(MISSING)
    postgres = Postgres()
    yield postgres
    postgres.close()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the kind that the test asks for."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("server").new_database()


@pytest.fixture(params=["memory", *DATABASES])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    address = {
        "memory": lambda: "memory:",
        "sqlite": lambda: f"sqlite:///{tmp_path / 'ledger.db'}",
        "postgresql": lambda: request.getfixturevalue("server").new_database(),
    }[request.param]()
    opened = open_ledger(address, 1000, "none", 0, fail_on_problem)
    yield opened
    await opened.close()
    assert opened.dropped == 0


def fail_on_problem(name: str, fields: dict[str, Any]) -> None:
    raise AssertionError(f"{name}: {fields}")


def sql(url: str, contents: Contents = Contents.NONE, retention: float = 0, **options: Any) -> SqlLedger:
    return SqlLedger(url, contents, retention, **{"flush_interval": 0.02, **options})


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """wait_until for a question to the ledger, whose loop goes on meanwhile."""
    loop = asyncio.get_running_loop()

    def holds() -> bool:
        return asyncio.run_coroutine_threadsafe(condition(), loop).result(NEVER)

    await asyncio.to_thread(wait_until, holds, what)


async def listed(ledger: Ledger, count: int) -> tuple[Summary, ...]:
    """The summaries, as soon as there are so many."""

    async def enough() -> bool:
        return len((await ledger.list(EVERYTHING, 10_000, "")).summaries) == count

    await until(enough, f"{count} decisions listed")
    return (await ledger.list(EVERYTHING, 10_000, "")).summaries


def decision(number: int, **changes: Any) -> Decision:
    asked = Request(messages=(Message("user", SENTINEL),), profile="auto", purpose=Purpose.CODE, tenant="acme")
    return replace(
        Decision(
            id=f"decision-{number:04}",
            model="openai/big",
            ranking=(Ranked("openai/big", "the best", 0.02),),
            source=Source.LOCAL,
            reason="the best",
            request=asked,
            cost_quality_tradeoff=3,
            time=1_700_000_000.25 + number,
        ),
        **changes,
    )


def kept(entry: Decision) -> Decision:
    """A decision as it is kept without its messages."""
    return replace(entry, request=replace(entry.request, messages=()))


def asking(entry: Decision, **changes: Any) -> Decision:
    return replace(entry, request=replace(entry.request, **changes))


FULL = Decision(
    id="full",
    model="openai/big",
    ranking=(
        Ranked("openai/big", "the best", 0.02, 400_000, 0.88, 0.7, 0.001),
        Ranked("z/small", "cheap", None, 0, None, None, None),
    ),
    source=Source.ESCALATED,
    reason="two failures\0 and a zero byte, \u2026 and \U0001f600",
    request=Request(
        messages=(Message("system", "rules"), Message("user", SENTINEL)),
        profile="auto",
        candidates=("openai/big", "z/small"),
        model="openai/big",
        purpose=Purpose.ARCHITECT,
        edit_format="diff",
        conversation_id="conversation\0",
        requirements=Requirements(1, 2, True, True, True, 5),
        available_providers=frozenset({"openai", "z"}),
        cost_quality_tradeoff=7,
        preference_id="preference",
        previous_reply=PreviousReply(Outcome.LINT_FAILED, "z/small", "before", 2),
        metadata={"team": "red", "zero": "\0"},
        tenant="acme",
        ignore_pin=True,
        unhealthy_providers=frozenset({"y"}),
        caller="nightly\0build",
    ),
    cost_quality_tradeoff=7,
    removed=(Removed("y/none", "unhealthy", "down"),),
    consultation=Consultation("openai/big", "session", "", 0.25),
    time=1_700_000_000.123456,
    policy="policy",
    pin=PinTrace("z/small", False, "it failed"),
    shadow=ShadowTrace("canary", "z/small", 0.001),
    baseline_model="openai/big",
    baseline_cost_usd=0.03,
    valid_for_seconds=math.inf,
    note=True,
)


async def test_what_was_recorded_is_found_at_once_without_its_messages(ledger):
    ledger.record(FULL)
    assert await ledger.find("full") == kept(FULL)
    assert await ledger.reports_of("full") == ()


async def test_what_is_not_kept_is_unknown(ledger):
    for unknown in ("never", "", "zero\0byte", "x" * 5000):
        with pytest.raises(UnknownDecision):
            await ledger.find(unknown)
        with pytest.raises(UnknownDecision):
            await ledger.report(Report(unknown, "openai/big", Outcome.APPLIED))
        assert await ledger.reports_of(unknown) == ()


async def test_reports_are_kept_once_in_order_and_seen_at_once(ledger):
    ledger.record(decision(1))
    delivered = Report("decision-0001", "z/small", Outcome.COMPLETED, 1000, 200, 50, 0.01, 0.05, 2.5, 0.5)
    undone = Report("decision-0001", "z/small", Outcome.UNDONE)
    for report in (delivered, undone, delivered, undone, delivered):
        await ledger.report(report)
    assert await ledger.reports_of("decision-0001") == (delivered, undone)

    async def added_up() -> bool:
        return [entry.outcome for entry in await listed(ledger, 1)] == [Outcome.UNDONE]

    await until(added_up, "the reports in the summary")
    assert await ledger.reports_of("decision-0001") == (delivered, undone)
    (summary,) = await listed(ledger, 1)
    assert summary == Summary(
        "decision-0001",
        1_700_000_001.25,
        "acme",
        "auto",
        Purpose.CODE,
        "",
        "openai/big",
        Source.LOCAL,
        "the best",
        0.02,
        "z/small",
        Outcome.UNDONE,
        1000,
        200,
        0.01,
        0.05,
        time_to_first_byte_seconds=0.5,
    )


async def test_what_was_changed_in_a_request_is_kept_with_its_report_and_makes_it_another_one(ledger):
    ledger.record(decision(1))
    plain = Report("decision-0001", "z/small", Outcome.COMPLETED, 1000, 200)
    changed = replace(plain, adaptations=("drop_seed", "max_tokens"))
    for report in (changed, plain, changed, replace(changed, adaptations=("drop_seed", "max_tokens"))):
        await ledger.report(report)
    assert await ledger.reports_of("decision-0001") == (changed, plain)

    async def added_up() -> bool:
        return [entry.input_tokens for entry in await listed(ledger, 1)] == [1000]

    await until(added_up, "the reports in the summary")
    assert await ledger.reports_of("decision-0001") == (changed, plain)


def test_a_report_without_adaptations_is_the_same_one_to_the_release_before():
    told = {"decision_id": "d", "served_model": "z/small", "outcome": "applied", "input_tokens": 10}
    report = Report("d", "z/small", Outcome.APPLIED, 10)
    assert key_of(report) == hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    assert key_of(replace(report, adaptations=())) == key_of(report) != key_of(replace(report, adaptations=("a",)))


async def test_a_decision_has_so_many_reports_and_no_more(ledger):
    ledger.record(decision(1))
    for number in range(MOST_REPORTS + 10):
        await ledger.report(Report("decision-0001", "z/small", Outcome.COMPLETED, input_tokens=number + 1))

    async def written() -> bool:
        return [entry.input_tokens for entry in await listed(ledger, 1)] == [MOST_REPORTS]

    await until(written, "the last report that counts")
    assert len(await ledger.reports_of("decision-0001")) == MOST_REPORTS


async def test_pages_hold_every_decision_once_latest_first(ledger):
    for number in range(25):
        # Some share their time, so that the id decides.
        ledger.record(decision(number, time=1000.5 + number // 4))
    await listed(ledger, 25)
    seen, token, sizes = [], "", []
    while True:
        page = await ledger.list(EVERYTHING, 10, token)
        seen += [entry.decision_id for entry in page.summaries]
        sizes.append(len(page.summaries))
        token = page.next_token
        if not token:
            break
        # What comes while somebody leafs through moves nothing.
        ledger.record(decision(1000 + len(sizes), time=5000.0))
    assert seen == [f"decision-{number:04}" for number in reversed(range(25))]
    assert sizes == [10, 10, 5]


async def test_a_last_page_that_is_full_has_no_next(ledger):
    for number in range(4):
        ledger.record(decision(number))
    await listed(ledger, 4)
    first = await ledger.list(EVERYTHING, 2, "")
    assert (await ledger.list(EVERYTHING, 2, first.next_token)).next_token == ""


@pytest.mark.parametrize("token", ["x", "é", "bm9uZQ==", "W10=", "WzEsMl0=", "W05hTiwieCJd", '[1.0,"x"]', "A" * 9999])
async def test_a_token_that_no_page_gave_is_refused_by_name(ledger, token):
    with pytest.raises(InvalidRequest) as refused:
        await ledger.list(EVERYTHING, 10, token)
    assert [violation.field for violation in refused.value.violations] == ["page_token"]


async def test_a_query_restricts_by_each_of_its_fields(ledger):
    ledger.record(decision(0))
    ledger.record(asking(decision(1), tenant="other"))
    ledger.record(asking(decision(2), profile="weak"))
    ledger.record(asking(decision(3), conversation_id="talk"))
    ledger.record(decision(4, model="z/small"))
    await listed(ledger, 5)
    start = decision(0).time
    for query, expected in (
        (Query(tenant="other"), [1]),
        (Query(profile="weak"), [2]),
        (Query(conversation_id="talk"), [3]),
        (Query(model="z/small"), [4]),
        (Query(since=start + 3), [4, 3]),
        (Query(until=start + 2), [1, 0]),
        (Query(since=start + 1, until=start + 3, tenant="acme"), [2]),
        (Query(tenant="nobody"), []),
        (Query(tenant="zero\0byte"), []),
    ):
        page = await ledger.list(query, 10, "")
        assert [entry.decision_id for entry in page.summaries] == [f"decision-{n:04}" for n in expected], query


async def test_savings_add_up_by_purpose_and_the_model_that_answered(ledger):
    for number in range(4):
        ledger.record(decision(number))
    ledger.record(asking(decision(4), purpose=Purpose.COMMIT))
    ledger.record(asking(decision(5), tenant="other"))
    for number, report in enumerate(
        (
            Report("", "openai/big", Outcome.APPLIED, 1000, 100, 0, 0.5, 1.0),
            Report("", "z/small", Outcome.APPLIED, 2000, 200, 0, 0.25, 1.5),
            Report("", "z/small", Outcome.APPLIED, 10, 20, 0, 0.125),  # no baseline: counts as it cost
            Report("", "", Outcome.PROVIDER_FAILED),
            Report("", "z/local", Outcome.COMPLETED, 7, 7, 0, None, 9.0),  # no cost: counts nowhere
        )
    ):
        await ledger.report(replace(report, decision_id=f"decision-{number:04}"))

    async def all_reported() -> bool:
        return sum(sums.reported for sums in await ledger.savings(EVERYTHING)) == 4

    await until(all_reported, "the sums")
    big, small, local = await ledger.savings(Query(tenant="acme"))
    assert big == Savings(Purpose.CODE, "openai/big", 2, 1, 1000, 100, 0.5, 1.0, 1, 1, 1, 0, 0, 0, 0.5, 0.5, 0, 1, 1)
    assert small == Savings(
        Purpose.CODE, "z/small", 2, 2, 2010, 220, 0.375, 1.625, 2, 2, 2, 0, 0, 0, 0.375, 0.375, 0, 2, 2
    )
    assert local == Savings(Purpose.COMMIT, "z/local", 1, 1, 7, 7, 0.0, 0.0, replies=1)
    assert await ledger.savings(Query(tenant="nobody")) == ()


async def test_spending_adds_up_by_caller_in_the_range_what_replies_have_cost(ledger):
    for number, caller in enumerate(("nightly", "", "Nightly", "nightly", "nightly", "")):
        ledger.record(asking(decision(number), caller=caller))
    start = decision(0).time
    assert await ledger.spending(start + 100, 0) == ()
    for number, report in enumerate(
        (
            Report("", "openai/big", Outcome.COMPLETED, 1000, 100, 0, 0.5),
            Report("", "openai/big", Outcome.COMPLETED, 10, 10, 0, 0.0625),
            Report("", "z/small", Outcome.COMPLETED, 2000, 200, 0, 0.25),
            Report("", "", Outcome.PROVIDER_FAILED),  # cost nothing that is known
            Report("", "z/small", Outcome.COMPLETED, 10, 20, 0, 0.125),
        )
    ):
        told = replace(report, decision_id=f"decision-{number:04}")
        # Neither telling it again nor how the reply fared makes it cost more.
        for again in (told, told, Report(told.decision_id, "", Outcome.APPLIED)):
            await ledger.report(again)

    async def all_reported() -> bool:
        return sum(row.cost_usd for row in await ledger.spending(0, 0)) == 0.9375

    await until(all_reported, "the costs")
    await listed(ledger, 6)
    assert await ledger.spending(0, 0) == (
        Spending("", 0.0625, 2),
        Spending("Nightly", 0.25, 1),
        Spending("nightly", 0.625, 3),
    )
    assert await ledger.spending(start + 1, start + 4) == (
        Spending("", 0.0625, 1),
        Spending("Nightly", 0.25, 1),
        Spending("nightly", 0.0, 1),
    )
    assert await ledger.spending(start + 4, 0) == (Spending("", 0.0, 1), Spending("nightly", 0.125, 1))
    assert await ledger.spending(0, start) == ()


async def test_a_caller_stands_in_the_list(ledger):
    ledger.record(asking(decision(1), caller="nightly"))
    assert [entry.caller for entry in await listed(ledger, 1)] == ["nightly"]


async def test_memory_forgets_what_a_forgotten_decision_cost():
    ledger = MemoryLedger(2)
    for number in range(3):
        ledger.record(asking(decision(number), caller="nightly"))
        await ledger.report(Report(f"decision-{number:04}", "z/small", Outcome.COMPLETED, 1, 1, 0, 0.25))
    assert await ledger.spending(0, 0) == (Spending("nightly", 0.5, 2),)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_spending_is_read_from_an_index_and_not_from_the_table(url):
    ledger = sql(url)
    for number in range(3000):
        ledger.record(asking(decision(number), caller=f"caller-{number % 7}"))
    await ledger.close()
    engine = open_database(url)
    asked: list[tuple[str, Any]] = []
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *event: asked.append(event[2:4]))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As the database's own housekeeping leaves it.
        connection.exec_driver_sql("VACUUM ANALYZE decisions" if "postgresql" in url else "ANALYZE")
        asked.clear()
        rows = reads.spending(connection, decision(1000).time, decision(1100).time)
        statement, parameters = next(entry for entry in asked if "GROUP BY" in entry[0])
        explain = "EXPLAIN " if "postgresql" in url else "EXPLAIN QUERY PLAN "
        plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
    engine.dispose()
    assert sum(row.decisions for row in rows) == 100
    expected = "Index Only Scan using" if "postgresql" in url else "USING COVERING INDEX"
    assert f"{expected} decisions_by_spending" in plan


def after(entry: Decision, outcome: Outcome, **changes: Any) -> Decision:
    """A decision whose conversation's previous reply fared so."""
    return asking(replace(entry, **changes), previous_reply=PreviousReply(outcome, "z/small", "before", 1))


async def test_savings_count_turns_rescues_and_failures_and_compare_with_the_strongest_and_the_cheapest(ledger):
    decided = (
        (decision(0), Outcome.APPLIED),
        (decision(1), Outcome.EDIT_FAILED),
        (after(decision(2), Outcome.EDIT_FAILED, source=Source.ESCALATED), Outcome.APPLIED),
        (after(decision(3), Outcome.APPLIED), Outcome.UNDONE),
        (after(decision(4), Outcome.UNDONE, source=Source.ESCALATED), Outcome.LINT_FAILED),
        (after(decision(5), Outcome.LINT_FAILED), Outcome.NO_EDITS),
        (after(decision(6), Outcome.INTERRUPTED), None),
        (asking(decision(7), purpose=Purpose.COMMIT), Outcome.COMPLETED),
        (asking(decision(8), purpose=Purpose.ASK), Outcome.NO_EDITS),
        (asking(decision(9), profile="other"), Outcome.APPLIED),
    )
    for entry, outcome in decided:
        ledger.record(entry)
        if outcome is not None:
            delivered = Report(entry.id, "openai/big", Outcome.COMPLETED, 10, 10, 0, 0.25, None)
            await ledger.report(replace(delivered, strongest_cost_usd=1.0, cheapest_cost_usd=0.125))
            await ledger.report(Report(entry.id, "", outcome))

    async def all_reported() -> bool:
        rows = await ledger.savings(EVERYTHING)
        return sum(sums.applied + sums.failed for sums in rows) == 6

    await until(all_reported, "the verdicts in the sums")
    rows = {sums.purpose: sums for sums in await ledger.savings(Query(profile="auto"))}
    code = rows[Purpose.CODE]
    assert (code.decisions, code.turns, code.applied_first_time, code.applied) == (7, 5, 1, 2)
    assert (code.rescued, code.failed, code.escalated) == (1, 3, 2)
    assert (code.judged, code.replies) == (4, 6)
    assert (code.cost_usd, code.baseline_cost_usd) == (1.5, 1.5)
    assert (code.strongest_cost_usd, code.cheapest_cost_usd) == (6.0, 0.75)
    assert (rows[Purpose.COMMIT].turns, rows[Purpose.COMMIT].cost_usd) == (0, 0.25)
    assert (rows[Purpose.ASK].turns, rows[Purpose.ASK].applied) == (1, 0)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_memory_and_databases_add_up_and_judge_alike(url):
    chance = random.Random(20261123)
    memory, database = MemoryLedger(1000), sql(url)
    costs = [None, 0.125, 0.25, 0.5, 1.0]  # their sums are exact
    for number in range(400):
        entry = after(
            decision(number, source=chance.choice(list(Source)), model=chance.choice(["openai/big", "z/small"])),
            chance.choice(list(Outcome)),
        )
        entry = asking(entry, purpose=chance.choice(list(Purpose)), edit_format=chance.choice(["", "diff", "whole"]))
        entry = asking(entry, caller=chance.choice(["", "b", "B", "é", "a"]))
        told = [
            Report(
                entry.id,
                chance.choice(["", "z/small", "y/other"]),
                chance.choice(list(Outcome)),
                chance.randrange(3),
                chance.randrange(3),
                0,
                *chance.choices(costs, k=2),
                strongest_cost_usd=chance.choice(costs),
                cheapest_cost_usd=chance.choice(costs),
                tokens_estimated=chance.random() < 0.5,
            )
            for _ in range(chance.randrange(4))
        ]
        for ledger in (memory, database):
            ledger.record(entry)
            for report in told:
                await ledger.report(report)
    await database.close()
    again = sql(url)
    for query in (EVERYTHING, Query(model="z/small"), Query(since=decision(200).time)):
        sums = await memory.savings(query)
        assert sorted(sums, key=str) == sorted(await again.savings(query), key=str)
        assert len(sums) > 10
    for begin, end in ((0.0, 0.0), (decision(200).time, 0.0), (decision(50).time, decision(300).time)):
        spent = await memory.spending(begin, end)
        assert spent == await again.spending(begin, end)
        assert len(spent) == 5
    judged = [{entry.decision_id: replace(entry, reported=0.0) for entry in await ledger.verdicts(0, 1000)}
              for ledger in (memory, again)]  # fmt: skip
    assert judged[0] == judged[1]
    assert len(judged[0]) > 100
    await again.close()


async def told(ledger: Ledger, count: int, since: float = 0.0, limit: int = 100) -> tuple[Verdict, ...]:
    """The verdicts, as soon as there are so many."""

    async def enough() -> bool:
        return len(await ledger.verdicts(since, limit)) == count

    await until(enough, f"{count} verdicts")
    return await ledger.verdicts(since, limit)


async def test_verdicts_say_how_replies_fared_in_the_order_of_their_reports(ledger):
    started = time.time()
    entries = {
        0: asking(decision(0), edit_format="diff"),
        1: after(decision(1), Outcome.EDIT_FAILED),
        2: after(decision(2), Outcome.INTERRUPTED),
        3: decision(3),
        4: decision(4),
    }
    for entry in entries.values():
        ledger.record(entry)
    assert await ledger.verdicts(0.0, 100) == ()
    # The order of reports is not that of decisions, and 4 has only been delivered.
    for number, outcome in (
        (4, "completed"),
        (2, "applied"),
        (0, "edit_failed"),
        (3, "provider_failed"),
        (1, "undone"),
    ):
        served = "z/small" if number == 2 else ""
        await ledger.report(Report(f"decision-{number:04}", served, Outcome(outcome), input_tokens=number))
    first, second, third = await told(ledger, 3)
    assert [entry.decision_id for entry in (first, second, third)] == [f"decision-{n:04}" for n in (2, 0, 1)]
    assert started <= first.reported <= second.reported <= third.reported <= time.time()
    assert replace(first, reported=0.0) == Verdict(
        "decision-0002", 0.0, "acme", Purpose.CODE, "", "z/small", Outcome.APPLIED, True
    )
    assert (second.edit_format, second.model, second.first) == ("diff", "openai/big", True)
    assert (third.outcome, third.first) == (Outcome.UNDONE, False)
    assert await ledger.verdicts(0.0, 2) == (second, third)
    assert await ledger.verdicts(third.reported, 100) == tuple(
        entry for entry in (first, second, third) if entry.reported >= third.reported
    )
    assert await ledger.verdicts(time.time() + 60, 100) == ()


async def test_a_verdict_that_changes_is_told_again_at_its_new_place(ledger):
    for number in range(2):
        ledger.record(decision(number))
        await ledger.report(Report(f"decision-{number:04}", "", Outcome.APPLIED))
    before = await told(ledger, 2)
    await ledger.report(Report("decision-0000", "", Outcome.UNDONE))

    async def changed() -> bool:
        return [entry.outcome for entry in await ledger.verdicts(0.0, 10)] == [Outcome.APPLIED, Outcome.UNDONE]

    await until(changed, "the undone reply at the end")
    again = await ledger.verdicts(0.0, 10)
    assert again[0] == before[1]
    assert again[1].reported >= before[0].reported


async def test_a_delivery_told_late_does_not_take_a_verdict_away(ledger):
    ledger.record(decision(1))
    await ledger.report(Report("decision-0001", "", Outcome.LINT_FAILED))
    await ledger.report(Report("decision-0001", "z/small", Outcome.COMPLETED, 1000, 200, 0, 0.25))

    async def delivered() -> bool:
        return [entry.input_tokens for entry in await listed(ledger, 1)] == [1000]

    await until(delivered, "the delivery")
    (summary,) = await listed(ledger, 1)
    assert (summary.outcome, summary.served_model, summary.cost_usd) == (Outcome.LINT_FAILED, "z/small", 0.25)
    (verdict,) = await told(ledger, 1)
    assert (verdict.outcome, verdict.model) == (Outcome.LINT_FAILED, "z/small")


async def test_memory_forgets_the_oldest_first():
    ledger = MemoryLedger(2)
    for number in range(3):
        ledger.record(decision(number))
        await ledger.report(Report(f"decision-{number:04}", "z/small", Outcome.APPLIED))
    assert [entry.decision_id for entry in await listed(ledger, 2)] == ["decision-0002", "decision-0001"]
    assert await ledger.reports_of("decision-0000") == ()
    with pytest.raises(UnknownDecision):
        await ledger.find("decision-0000")


def test_later_reports_do_not_take_away_what_is_known():
    delivered = Arrived(Report("d", "z/small", Outcome.COMPLETED, 10, 20, 5, 0.5, 0.75), 1.0)
    total = add_up([delivered, Arrived(Report("d", "", Outcome.UNDONE, cost_usd=math.nan), 2.0)])
    assert (total.served_model, total.outcome, total.input_tokens, total.cost_usd) == (
        "z/small",
        Outcome.UNDONE,
        10,
        0.5,
    )
    assert total.baseline_actual_cost_usd == 0.75
    assert total.reported_at == 2.0
    again = add_up([delivered, Arrived(Report("d", "openai/big", Outcome.APPLIED, 30, 40, 0, 0.25), 3.0)])
    assert (again.served_model, again.input_tokens, again.cached_input_tokens) == ("openai/big", 30, 0)
    assert (again.cost_usd, again.baseline_actual_cost_usd) == (0.25, None)


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
@pytest.mark.parametrize("delivery", sorted(set(Outcome) - VERDICTS))
def test_how_a_reply_fared_outranks_that_it_was_delivered_in_either_order(verdict, delivery):
    reports = [Arrived(Report("d", "", verdict), 1.0), Arrived(Report("d", "", delivery), 2.0)]
    assert add_up(reports).outcome is add_up(reversed(reports)).outcome is verdict


def test_of_two_verdicts_the_later_counts():
    reports = [Arrived(Report("d", "", Outcome.APPLIED), 1.0), Arrived(Report("d", "", Outcome.UNDONE), 2.0)]
    assert add_up(reports).outcome is Outcome.UNDONE
    assert add_up(reversed(reports)).outcome is Outcome.APPLIED


def test_what_the_provider_counted_outranks_an_estimate_in_either_order():
    counted = Arrived(Report("d", "", Outcome.COMPLETED, 100, 10, 0, 0.5), 1.0)
    estimated = Arrived(Report("d", "", Outcome.APPLIED, 70, 7, 0, 0.25, tokens_estimated=True), 2.0)
    for sums in (add_up([counted, estimated]), add_up([estimated, counted])):
        assert (sums.input_tokens, sums.output_tokens, sums.cost_usd, sums.tokens_estimated) == (100, 10, 0.5, False)
    assert add_up([estimated]).tokens_estimated


def of_any_fields(kind: type) -> st.SearchStrategy:
    """Hypothesis takes the mark of a default's factory for the default."""
    return st.builds(kind, **{field.name: st.from_type(field.type) for field in fields(kind)})


st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(Request, of_any_fields)
st.register_type_strategy(PreviousReply, of_any_fields)


@given(st.from_type(Decision))
def test_every_decision_survives_being_a_document(entry):
    assert decision_from(to_document(entry)) == entry


@given(st.from_type(Report))
def test_every_report_survives_being_a_document(entry):
    assert report_from(to_document(entry)) == entry


def test_documents_of_another_release_can_be_read():
    document = {**json.loads(to_document(kept(FULL))), "from_the_future": [1]}
    del document["shadow"]
    assert decision_from(json.dumps(document)) == replace(kept(FULL), shadow=None)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_everything_is_there_again_after_a_restart(url):
    report = Report(
        "full", "z/small", Outcome.APPLIED, 10, 20, 5, 0.5, 0.75, 2.5, 0.5, adaptations=("drop_seed", "max_tokens")
    )
    before = sql(url, Contents.CLIPPED, flush_interval=60)
    before.record(FULL)
    await before.report(report)
    await before.close()
    after = sql(url)
    assert await after.find("full") == FULL
    assert await after.reports_of("full") == (report,)
    (summary,) = await listed(after, 1)
    assert (summary.outcome, summary.input_tokens, summary.baseline_cost_usd) == (Outcome.APPLIED, 10, 0.75)
    assert summary.time == FULL.time
    await after.report(report)
    await after.close()
    assert before.dropped == after.dropped == 0
    again = sql(url)
    assert await again.reports_of("full") == (report,)
    await again.close()


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_replicas_share_what_they_keep_in_whatever_order_it_is_written(url):
    slow, quick = sql(url, flush_interval=60), sql(url)
    slow.record(decision(1))
    with pytest.raises(UnknownDecision):
        await quick.report(Report("decision-0001", "z/small", Outcome.UNDONE))
    # As if the database could not have been asked: the report is there before its decision.
    quick.record(decision(1))
    await quick.report(Report("decision-0001", "z/small", Outcome.UNDONE))
    await quick.close()
    await slow.close()
    third = sql(url)
    assert [entry.outcome for entry in await listed(third, 1)] == [Outcome.UNDONE]
    await third.close()


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_replicas_that_start_at_once_migrate_once_and_write_at_once(url):
    program = f"""
import asyncio
from msgspec.structs import replace
from router_service.ledger import open_ledger
from router_service.domain import Outcome
from router_service.records import Report
from tests.router_service.test_ledger import decision
import sys
async def main():
    ledger = open_ledger({url!r}, 1000, "none", 0, lambda name, fields: print(name, fields))
    mine = sys.argv[1]
    for number in range(200):
        ledger.record(decision(number, id=f"{{mine}}-{{number}}"))
        ledger.record(decision(number, id=f"shared-{{number}}"))
        await ledger.report(Report(f"shared-{{number}}", mine, Outcome.APPLIED, input_tokens=number))
    await ledger.close()
    assert ledger.dropped == 0
asyncio.run(main())
"""
    replicas = [Process([sys.executable, "-c", program, f"replica{number}"], {}, "replica") for number in range(4)]
    for replica in replicas:
        assert replica.popen.wait(NEVER) == 0, replica.text()
        assert replica.text() == ""
        replica.stop()
    ledger = sql(url)
    await listed(ledger, 4 * 200 + 200)
    for number in (0, 199):
        assert len(await ledger.reports_of(f"shared-{number}")) == 4
    await ledger.close()
    engine = open_database(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def migrate_to(url: str, revision: str) -> sqlalchemy.Engine:
    """An empty database as an earlier release left it."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'decisions'::regclass"


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_routers_go_on_while_a_migration_waits_for_whoever_reads_for_long(url):
    engine = migrate_to(url, "0003")
    with psycopg.connect(url) as dump, psycopg.connect(url, autocommit=True) as router:
        # A migration that waits for ever would be seen by these two.
        dump.execute("SET idle_in_transaction_session_timeout = '60s'")
        router.execute("SET statement_timeout = '30s'")
        dump.execute("SELECT count(*) FROM decisions")
        with pytest.raises(MigrationImpossible, match="a dump or a long query"):
            migrate(engine, attempts=1)
        migrating = Thread(target=migrate, args=(engine, 10_000))
        migrating.start()
        try:
            for _ in range(2):
                wait_until(lambda: router.execute(WAITS).fetchone() == (1,), "a migration that waits")
                # It would wait for the dump, were the migration still in its way.
                router.execute("SELECT count(*) FROM decisions")
        finally:
            dump.rollback()
            migrating.join()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


FIRST_RELEASE = """INSERT INTO decisions
(id, time, tenant, profile, purpose, conversation_id, model, source, reason, baseline_model, served_model, outcome,
 input_tokens, output_tokens, cached_input_tokens, cost_usd, trace)
VALUES (:id, 5.5, 'acme', 'auto', 'code', '', 'openai/big', 'local', 'best', '', '', :outcome, 10, 20, 0, 0.25, :trace)"""


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_a_ledger_of_the_first_release_is_brought_forward_with_all_its_rows(url):
    engine = migrate_to(url, "0001")
    rows = [(replace(FULL, id="full"), "applied"), *((decision(number), "unknown") for number in range(1100))]
    with engine.begin() as connection:
        for entry, outcome in rows:
            values = {"id": entry.id, "outcome": outcome, "trace": to_document(kept(entry))}
            connection.execute(sqlalchemy.text(FIRST_RELEASE), values)
        for key, received in (("a", 50.5), ("b", 60.5)):
            document = to_document(Report("full", "", Outcome.APPLIED))
            values = {"key": key, "received": received, "document": document}
            connection.execute(
                sqlalchemy.text(
                    "INSERT INTO reports (key, decision_id, received, document) "
                    "VALUES (:key, 'full', :received, :document)"
                ),
                values,
            )
    engine.dispose()
    ledger = sql(url)
    (verdict,) = await ledger.verdicts(0.0, 10)
    assert verdict == Verdict("full", 60.5, "acme", Purpose.CODE, "diff", "openai/big", Outcome.APPLIED, False)
    (sums,) = await ledger.savings(EVERYTHING)
    assert (sums.decisions, sums.turns, sums.rescued) == (1101, 1100, 1)
    assert sums.strongest_cost_usd == sums.cheapest_cost_usd == sums.cost_usd
    assert await ledger.find("full") == kept(FULL)
    await ledger.close()
    # A replica of that release that still runs goes on writing what it knows.
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        values = {"id": "late", "outcome": "unknown", "trace": to_document(kept(decision(1)))}
        connection.execute(sqlalchemy.text(FIRST_RELEASE), values)
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()
    again = sql(url)
    assert len((await again.list(EVERYTHING, 2000, "")).summaries) == 1102
    await again.close()


SECOND_RELEASE = FIRST_RELEASE.replace("(id,", "(edit_format, previous_outcome, tokens_estimated, id,").replace(
    "(:id,", "('diff', 'applied', false, :id,"
)


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_a_ledger_of_the_release_before_is_brought_forward_while_a_router_of_it_writes_on(url):
    engine = migrate_to(url, "0002")

    def write(number: int) -> None:
        entry = decision(number)
        values = {"id": entry.id, "outcome": "unknown", "trace": to_document(kept(entry))}
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(SECOND_RELEASE), values)

    write(1)
    ledger = sql(url)
    write(2)
    assert await ledger.spending(0, 0) == (Spending("", 0.5, 2),)
    # What that router knows of a decision of this release is its report.
    ledger.record(asking(decision(3), caller="nightly"))
    await listed(ledger, 3)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE decisions SET cost_usd = 0.125 WHERE id = 'decision-0003'"))
    assert await ledger.spending(0, 0) == (Spending("", 0.5, 2), Spending("nightly", 0.125, 1))
    found = await ledger.find("decision-0001")
    assert (found.note, found.request.caller) == (False, "")
    await ledger.close()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_what_is_too_old_is_deleted_and_nothing_else(url):
    now = time.time()
    first = sql(url)
    for number in range(2500):
        first.record(decision(number, time=now - 7200))
    for number in range(2500, 2510):
        first.record(decision(number, time=now - 60))
        await first.report(Report(f"decision-{number:04}", "z/small", Outcome.APPLIED))
    await first.close()
    second = sql(url, retention=3600)
    await listed(second, 10)
    assert len(await second.reports_of("decision-2500")) == 1
    with pytest.raises(UnknownDecision):
        await second.find("decision-0000")
    await second.close()
    third = sql(url, retention=30)
    await listed(third, 0)
    # The reports are younger than that, and go with their decision all the same.
    assert await third.reports_of("decision-2500") == ()
    await third.close()


@pytest.mark.parametrize("contents", list(Contents))
@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_of_the_prompt_only_what_the_setting_says_is_kept(url, contents, tmp_path):
    ledger = sql(url, contents)
    ledger.record(asking(decision(1), messages=(Message("user", SENTINEL + "x" * 1000),)))
    await listed(ledger, 1)
    await ledger.close()
    reader = sql(url)
    messages = (await reader.find("decision-0001")).request.messages
    await reader.close()
    if contents is Contents.NONE:
        assert messages == ()
    elif contents is Contents.HASH:
        assert [turn.role for turn in messages] == ["user"]
        assert messages[0].text.startswith("sha256:")
        assert len(messages[0].text) == 7 + 64
    else:
        assert messages == (Message("user", (SENTINEL + "x" * 1000)[:500]),)
    stored = everything_stored(url, tmp_path)
    assert "decision-0001" in stored
    assert (SENTINEL in stored) == (contents is Contents.CLIPPED)


def everything_stored(url: str, directory: Path) -> str:
    if url.startswith("sqlite"):
        return "".join(path.read_bytes().decode("latin-1") for path in directory.glob("ledger.db*"))
    with psycopg.connect(url) as connection:
        return str(connection.execute("SELECT d::text FROM decisions d").fetchall())


async def test_memory_keeps_of_the_prompt_what_the_setting_says():
    ledger = open_ledger("", 10, "clipped", 0, fail_on_problem)
    ledger.record(FULL)
    assert await ledger.find("full") == FULL


async def test_a_killed_database_costs_no_answer_and_gets_everything_when_it_is_back(server):
    problems: list[str] = []
    ledger = sql(server.new_database(), recent=100, on_problem=lambda name, fields: problems.append(name))
    ledger.record(decision(0))
    await listed(ledger, 1)
    server.kill()
    try:
        started = time.monotonic()
        for number in range(1, 700):
            ledger.record(decision(number))
        assert time.monotonic() - started < NEVER
        assert await ledger.find("decision-0699") == kept(decision(699))
        # This one is out of memory, and the database cannot be asked whether it knows it.
        await ledger.report(Report("decision-0000", "z/small", Outcome.APPLIED))
        with pytest.raises(LedgerUnavailable) as refused:
            await ledger.find("decision-0000")
        assert PASSWORD not in str(refused.value)
        with pytest.raises(LedgerUnavailable):
            await ledger.list(EVERYTHING, 10, "")
        await asyncio.to_thread(wait_until, lambda: "ledger_unreachable" in problems, "the problem told")
    finally:
        server.start()

    async def arrived() -> bool:
        try:
            found = (await ledger.list(EVERYTHING, 1000, "")).summaries
        except LedgerUnavailable:
            return False
        return len(found) == 700 and found[-1].outcome is Outcome.APPLIED

    await until(arrived, "what was queued")
    assert problems[-1] == "ledger_reachable"
    assert ledger.dropped == 0
    await ledger.close()


async def test_a_full_queue_drops_counts_and_tells_once_a_second(tmp_path):
    path, problems = tmp_path / "ledger.db", []
    ledger = sql(f"sqlite:///{path}", queue_size=5, on_problem=lambda name, fields: problems.append((name, fields)))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        for number in range(8):
            ledger.record(decision(number))
        await ledger.report(Report("decision-0000", "z/small", Outcome.APPLIED))
        assert ledger.dropped == 4
        elapsed = time.monotonic() - started
        assert await ledger.find("decision-0007") == kept(decision(7))
        other.execute("ROLLBACK")
    assert [entry.decision_id for entry in await listed(ledger, 5)] == [f"decision-{n:04}" for n in (4, 3, 2, 1, 0)]
    full = [fields for name, fields in problems if name == "ledger_full"]
    assert full[0] == {"dropped": 1}
    assert len(full) <= 1 + elapsed
    await ledger.close()


async def test_closing_while_the_database_is_away_ends_and_counts_what_is_lost(server):
    problems: list[str] = []
    ledger = sql(server.new_database(), on_problem=lambda name, fields: problems.append(name))
    server.kill()
    try:
        for number in range(3):
            ledger.record(decision(number))
        await ledger.close()
    finally:
        server.start()
    assert ledger.dropped == 3
    assert problems[-1] == "ledger_lost"


@pytest.mark.parametrize("url", DATABASES, indirect=True)
async def test_one_entry_that_the_database_refuses_does_not_hold_up_the_others(url):
    problems: list[str] = []
    ledger = sql(url, flush_interval=0.2, on_problem=lambda name, fields: problems.append(name))
    for number in range(5):
        ledger.record(decision(number))
    await ledger.report(Report("decision-0001", "z/small", Outcome.APPLIED, input_tokens=2**70))
    await listed(ledger, 5)
    await ledger.close()
    assert (ledger.dropped, problems) == (1, ["ledger_refused"])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root:sentinel-password@127.0.0.1/x", "postgresql://"),
        ("sqlite://", "sqlite:///"),
        ("nonsense", "not a database's address"),
        ("sqlite:////nowhere/at/all/ledger.db", "No such file"),
        ("postgresql://router:sentinel-password@127.0.0.1:1/x", "Connection refused"),
        ("postgresql://127.0.0.1:1/x?user=a&password=sentinel-password", "Connection refused"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url, says):
    with pytest.raises(InvalidConfiguration, match="ROUTER_LEDGER_URL") as refused:
        open_ledger(url, 10, "none", 0, fail_on_problem)
    assert says in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_server_that_never_answers_is_refused_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(InvalidConfiguration, match="timeout"):
            open_ledger(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x", 10, "none", 0, fail_on_problem)
        assert time.monotonic() - started < NEVER


def test_a_wrong_password_is_refused_without_it(server):
    with pytest.raises(InvalidConfiguration, match="password authentication failed") as refused:
        open_ledger(server.url().replace(PASSWORD, "wrong-sentinel"), 10, "none", 0, fail_on_problem)
    assert "wrong-sentinel" not in str(refused.value)


def test_contents_that_do_not_exist_are_refused():
    with pytest.raises(InvalidConfiguration, match="none, hash, clipped"):
        open_ledger("", 10, "everything", 0, fail_on_problem)


async def test_a_new_file_is_for_nobody_else_to_read(tmp_path):
    path = tmp_path / "var" / "ledger.db"
    ledger = sql(f"sqlite:///{path}")
    ledger.record(decision(1))
    await listed(ledger, 1)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    await ledger.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_database_of_a_later_release_is_refused(url):
    await sql(url).close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(InvalidConfiguration, match="later release"):
        open_database(url)


def test_the_migration_that_a_router_looks_for_at_its_start_is_the_last_there_is():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [LATEST]
