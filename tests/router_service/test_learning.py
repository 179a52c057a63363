"""Outcomes teach: through the front door, what they change, what they leave alone, and what is known again afterwards."""

import asyncio
import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.router.v1 import router_pb2 as pb
from router_service.domain import Decision, Outcome, Purpose, Ranked, Request, Source
from router_service.learning import Learning, VerdictRefresh
from router_service.ledger import LedgerUnavailable, open_ledger
from router_service.records import Report, Verdict
from router_service.settings import load_catalog
from router_service.standings import Standings
from tests.fakes import not_diamond as fake
from tests.processes import NEVER, free_port, start_router, wait_until
from tests.router_service.calls import call, select

MODEL = """
[[priors]]
name = "{name}"
date = "2026-11-23"
edit_format = "diff"
pass_rate_1 = {rate}
pass_rate_2 = {rate}
well_formed = 95
retry_success = 0

[[models]]
id = "fake/{name}"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 2
source = "made up"
checked = "2026-11-23"
prior = "{name}"
prior_kind = "measured"
"""
QUALITY = {"best": 86, "good": 80, "fair": 62, "weak": 35}
PROFILES = """
[profiles.on]
candidates = ["fake/*"]
cost_quality_tradeoff = 0
learning = { mode = "on", exploration = 0 }

[profiles.exploring]
candidates = ["fake/*"]
cost_quality_tradeoff = 0
learning = { mode = "on", exploration = 1 }

[profiles.shadow]
candidates = ["fake/*"]
cost_quality_tradeoff = 0

[profiles.off]
candidates = ["fake/*"]
cost_quality_tradeoff = 0
learning = { mode = "off" }

[profiles.choosy]
candidates = ["fake/*"]
cost_quality_tradeoff = 0
floors = { code = 0.9 }
learning = { mode = "on", exploration = 0 }
"""
ONE = '[profiles.{name}]\ncandidates = ["fake/{name}"]\ncost_quality_tradeoff = 0\nlearning = {{ mode = "on" }}\n'
CONFIG = (
    "".join(MODEL.format(name=name, rate=rate) for name, rate in QUALITY.items())
    + PROFILES
    + "".join(ONE.format(name=name) for name in QUALITY)
)
APPLIED, EDIT_FAILED, COMMAND_FAILED = pb.OUTCOME_APPLIED, pb.OUTCOME_EDIT_FAILED, pb.OUTCOME_COMMAND_FAILED


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("learning") / "router.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture(scope="module")
def port(config: str) -> Iterator[int]:
    number = free_port()
    process = start_router(number, ROUTER_CONFIG=config)
    yield number
    process.stop()


def decide(port: int, profile: str, tenant: str, **more: object) -> pb.SelectModelResponse:
    fields = {"profile": profile, "tenant": tenant, "purpose": "PURPOSE_CODE", "editFormat": "diff"}
    return select(port, **{**fields, **more})


def report(port: int, decision: pb.SelectModelResponse, outcome: int) -> None:
    known = {"decision_id": decision.decision_id, "served_model": decision.model}
    call(port, "ReportOutcome", pb.ReportOutcomeRequest(outcome=outcome, **known))


def teach(port: int, model: str, tenant: str, outcomes: list[int], **more: object) -> None:
    """Replies of one model to user's requests, and how they fared."""
    for outcome in outcomes:
        report(port, decide(port, model, tenant, **more), outcome)


def entry(decision: pb.SelectModelResponse, name: str) -> pb.RankedModel:
    return next(ranked for ranked in decision.ranking if ranked.model == f"fake/{name}")


def trace(port: int, decision: pb.SelectModelResponse) -> pb.ExplainDecisionResponse:
    return call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision.decision_id))


def rates(successes: int, failures: int) -> list[int]:
    outcomes = [APPLIED] * successes + [EDIT_FAILED] * failures
    random.Random(1).shuffle(outcomes)
    return outcomes


def test_a_model_that_fares_worse_than_the_others_loses_its_lead_and_the_decision_says_from_how_many_replies(port):
    assert decide(port, "on", "worse").model == "fake/best"
    teach(port, "best", "worse", rates(20, 20))
    teach(port, "good", "worse", rates(38, 2))
    decision = decide(port, "on", "worse")
    assert decision.model == "fake/good"
    best = entry(decision, "best")
    assert best.quality < best.prior_quality == pytest.approx(0.86)
    assert best.outcomes == pytest.approx(40, rel=0.2)
    assert "(learnt from 3" in best.reason
    assert "0.86 measured, best)" in best.reason
    learning = trace(port, decision).learning
    assert (learning.mode, learning.model, learning.prior_model) == ("on", "fake/good", "fake/best")
    assert learning.outcomes == pytest.approx(best.outcomes + entry(decision, "good").outcomes)


def test_work_that_is_harder_for_everybody_leaves_the_order_and_nearly_the_qualities_as_they_were(port):
    for model, successes in (("best", 28), ("good", 24), ("fair", 15)):
        teach(port, model, "hard", rates(successes, 40 - successes))
    decision = decide(port, "on", "hard")
    assert [ranked.model for ranked in decision.ranking] == ["fake/best", "fake/good", "fake/fair", "fake/weak"]
    for ranked in decision.ranking:
        assert ranked.quality == pytest.approx(ranked.prior_quality, abs=0.05)


def test_one_model_alone_hardly_moves_against_the_others_as_long_as_it_fares_as_ever(port):
    teach(port, "best", "alone", rates(45, 35))
    decision = decide(port, "on", "alone")
    assert decision.model == "fake/best"
    assert entry(decision, "best").quality == pytest.approx(0.86, abs=0.06)


def test_a_model_that_turns_bad_loses_its_lead_though_no_other_is_known(port):
    teach(port, "best", "overnight", rates(180, 20))
    assert decide(port, "on", "overnight").model == "fake/best"
    teach(port, "best", "overnight", [EDIT_FAILED] * 40)
    assert decide(port, "on", "overnight").model == "fake/good"


def test_a_model_without_outcomes_keeps_its_prior(port):
    teach(port, "best", "unknown", rates(5, 5))
    weak = entry(decide(port, "on", "unknown"), "weak")
    assert (weak.quality, weak.outcomes) == (pytest.approx(0.35), 0)
    assert "learnt" not in weak.reason


def test_in_shadow_nothing_changes_but_the_trace_says_who_would_lead(port):
    teach(port, "best", "shadowed", rates(20, 20))
    teach(port, "good", "shadowed", rates(38, 2))
    decision = decide(port, "shadow", "shadowed")
    assert decision.model == "fake/best"
    assert not decision.ranking[0].HasField("prior_quality")
    learning = trace(port, decision).learning
    assert (learning.mode, learning.model, learning.prior_model) == ("shadow", "fake/good", "fake/best")
    assert learning.outcomes > 60


def test_switched_off_nothing_is_told(port):
    teach(port, "best", "off", rates(20, 20))
    decision = decide(port, "off", "off")
    assert decision.model == "fake/best"
    assert not trace(port, decision).HasField("learning")


def test_a_report_counts_once_and_a_later_verdict_replaces_the_earlier(port):
    decision = decide(port, "best", "twice")
    for _ in range(5):
        report(port, decision, APPLIED)
    seen = entry(decide(port, "on", "twice"), "best")
    assert seen.outcomes == pytest.approx(1)
    report(port, decision, COMMAND_FAILED)
    corrected = entry(decide(port, "on", "twice"), "best")
    assert corrected.outcomes == pytest.approx(1)
    assert corrected.quality < seen.quality


@pytest.mark.parametrize(
    "outcome", [pb.OUTCOME_NO_EDITS, pb.OUTCOME_INTERRUPTED, pb.OUTCOME_COMPLETED, pb.OUTCOME_PROVIDER_FAILED]
)
def test_what_says_nothing_of_quality_teaches_nothing(port, outcome):
    tenant = f"silent {outcome}"
    report(port, decide(port, "off", tenant), outcome)
    assert trace(port, decide(port, "on", tenant)).learning.outcomes == 0


def test_replies_that_had_a_failure_to_mend_do_not_count_against_a_model(port):
    failed = {"previousReply": {"outcome": "OUTCOME_EDIT_FAILED"}}
    teach(port, "best", "mending", [EDIT_FAILED] * 20, **failed)
    assert entry(decide(port, "on", "mending"), "best").quality == pytest.approx(0.86)


@pytest.mark.parametrize("other", [{"tenant": "b"}, {"purpose": "PURPOSE_ASK"}, {"editFormat": "whole"}])
def test_tenants_purposes_and_edit_formats_learn_apart(port, other):
    teach(port, "best", "apart", rates(2, 8))
    elsewhere = select(
        port, **{"profile": "on", "tenant": "apart", "purpose": "PURPOSE_CODE", "editFormat": "diff", **other}
    )
    assert all(ranked.outcomes == 0 for ranked in elsewhere.ranking)


def test_a_report_on_a_model_that_the_decision_did_not_rank_teaches_nothing(port):
    for _ in range(40):
        decision = decide(port, "best", "slander")
        assert {ranked.model for ranked in decision.ranking} == {"fake/best"}
        slander = pb.ReportOutcomeRequest(
            decision_id=decision.decision_id, served_model="fake/good", outcome=pb.OUTCOME_EDIT_FAILED
        )
        call(port, "ReportOutcome", slander)
    assert entry(decide(port, "on", "slander"), "good").outcomes == 0


def test_a_conversation_is_decided_alike_until_more_is_learnt_and_conversations_try_different_models(port):
    teach(port, "best", "curious", rates(26, 4))
    first = [decide(port, "exploring", "curious", conversationId=f"c{number}") for number in range(40)]
    again = [decide(port, "exploring", "curious", conversationId=f"c{number}", ignorePin=True) for number in range(40)]
    assert [decision.model for decision in first] == [decision.model for decision in again]
    assert {"fake/best", "fake/good"} <= {decision.model for decision in first}
    # A draw moves the order, not what is believed.
    assert len({entry(decision, "best").quality for decision in first}) == 1


def test_where_nobody_tells_how_replies_fare_nothing_is_tried_out(port):
    models = {decide(port, "exploring", "untold", conversationId=f"c{number}").model for number in range(40)}
    assert models == {"fake/best"}


def test_a_model_that_is_learnt_to_be_weak_falls_below_the_floor(port):
    teach(port, "best", "floored", rates(39, 1))
    teach(port, "good", "floored", rates(15, 25))
    decision = decide(port, "choosy", "floored")
    assert "below the floor" in entry(decision, "good").reason
    assert "below the floor" not in entry(decide(port, "choosy", "not floored"), "good").reason


def session(port: int, tenant: str, check: Callable[[str], bool], model: str) -> None:
    """A turn of a model, and its end: mended or not, by the model that the profile chooses after the failure."""
    decision = decide(port, model, tenant)
    failed = check(decision.model)
    report(port, decision, COMMAND_FAILED if failed else APPLIED)
    if failed:
        previous = {"outcome": "OUTCOME_COMMAND_FAILED", "model": decision.model, "consecutiveFailures": 1}
        second = decide(port, "on", tenant, previousReply=previous)
        report(port, second, COMMAND_FAILED if check(second.model) else APPLIED)


def after_failure(
    port: int, tenant: str, outcome: str = "OUTCOME_COMMAND_FAILED", conversation: str = ""
) -> pb.SelectModelResponse:
    previous = {"outcome": outcome, "model": "fake/fair", "consecutiveFailures": 1}
    return decide(port, "on", tenant, previousReply=previous, conversationId=conversation)


# Numbers for conversations that have not been before.
FRESH = itertools.count()


def after_failures(port: int, tenant: str) -> list[pb.SelectModelResponse]:
    """The same failure in thirty new conversations."""
    return [after_failure(port, tenant, conversation=f"{tenant} {next(FRESH)}") for number in range(30)]


@pytest.mark.parametrize(("hit", "false"), [(0.9, 0.1), (0.7, 0.1), (0.5, 0.1)])
def test_tests_that_tell_keep_being_acted_on(port, hit, false):
    draw, tenant = random.Random(7), f"telling {hit}"

    def check(model: str) -> bool:
        wrong = draw.random() >= QUALITY[model.removeprefix("fake/")] / 100
        return draw.random() < (hit if wrong else false)

    for number in range(240):
        session(port, tenant, check, ("best", "fair", "weak")[number % 3])
        if number % 20 == 19:
            assert after_failure(port, tenant).source == pb.DECISION_SOURCE_ESCALATED


def test_tests_that_fail_at_random_are_no_longer_acted_on_and_the_reason_says_so_but_an_undone_reply_is(port):
    draw, models = random.Random(2), itertools.cycle(("best", "fair", "weak"))
    assert {decision.source for decision in after_failures(port, "coin")} == {pb.DECISION_SOURCE_ESCALATED}
    stayed: list[pb.SelectModelResponse] = []
    for _ in range(30):
        for _ in range(20):
            session(port, "coin", lambda _: draw.random() < 0.5, next(models))
        stayed = [entry for entry in after_failures(port, "coin") if entry.source != pb.DECISION_SOURCE_ESCALATED]
        if stayed:
            break
    # Some conversations go on testing it, so that it can be cleared.
    assert 15 < len(stayed) < 30, len(stayed)
    decision = stayed[0]
    assert decision.model == "fake/fair", decision.reason
    assert "command_failed has told nothing here so far: it came after " in decision.reason
    assert trace(port, decision).learning.distrust in decision.reason
    for other in (("coin", "OUTCOME_UNDONE"), ("coin", "OUTCOME_LINT_FAILED"), ("another tenant",)):
        assert after_failure(port, *other).source == pb.DECISION_SOURCE_ESCALATED


def test_a_restart_forgets_nothing(config, tmp_path):
    env = {"ROUTER_CONFIG": config, "ROUTER_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.db'}"}
    first, second = free_port(), free_port()
    process = start_router(first, **env)
    teach(first, "best", "kept", rates(10, 20))
    learnt = entry(decide(first, "on", "kept"), "best")
    assert process.stop() == 0
    process = start_router(second, **env)
    try:
        wait_until(lambda: entry(decide(second, "on", "kept"), "best").outcomes > 0, "what was learnt before")
        again = entry(decide(second, "on", "kept"), "best")
        assert (again.quality, again.outcomes) == (pytest.approx(learnt.quality), pytest.approx(learnt.outcomes))
    finally:
        process.stop()


def test_a_database_that_is_gone_stops_neither_decisions_nor_what_is_known(config, tmp_path):
    file = tmp_path / "ledger.db"
    port = free_port()
    process = start_router(port, ROUTER_CONFIG=config, ROUTER_LEDGER_URL=f"sqlite:///{file}")
    try:
        teach(port, "best", "gone", rates(10, 20))
        learnt = entry(decide(port, "on", "gone"), "best").quality
        with sqlite3.connect(file) as database:
            database.execute("DROP TABLE reports")
            database.execute("DROP TABLE decisions")
        database.close()
        assert entry(decide(port, "on", "gone"), "best").quality == pytest.approx(learnt)
    finally:
        process.stop()


def decided(number: int, model: str) -> Decision:
    request = Request(profile="on", tenant="t", purpose=Purpose.CODE, edit_format="diff")
    return Decision(f"dec_{number}", model, (Ranked(model, ""),), Source.LOCAL, "", request, 0, time=float(number))


def test_not_diamond_hears_each_verdict_on_its_recommendation_once_and_none_on_another_models_reply():
    hosted = fake.FakeNotDiamond()
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    port = free_port()
    env = {"NOT_DIAMOND_API_KEY": "k", "NOTDIAMOND_BASE_URL": hosted.url, "ROUTER_NOT_DIAMOND_FEEDBACK": "true"}
    process = start_router(port, **env)
    try:
        told: list[float] = []
        pair = {"models": ["google/gemini-3.8-flash", "openai/gpt-6.1-sol"]}
        asking = {"candidates": pair, "purpose": "PURPOSE_CODE", "messages": [{"role": "user", "text": "fix it"}]}
        decision = select(port, **asking)
        assert decision.source == pb.DECISION_SOURCE_NOT_DIAMOND

        def feedback() -> list[int]:
            return [body["feedback"]["accuracy"] for line, _, body in list(hosted.seen) if "feedback" in line]

        failover = {"decision_id": decision.decision_id, "served_model": "openai/gpt-6.1-sol"}
        call(port, "ReportOutcome", pb.ReportOutcomeRequest(outcome=EDIT_FAILED, **failover))
        for outcome, expected in ((APPLIED, [1]), (COMMAND_FAILED, [1, 0]), (APPLIED, [1, 0])):
            report(port, decision, outcome)
            report(port, decision, outcome)
            wait_until(lambda expected=expected: len(feedback()) >= len(expected), "feedback")
            told = feedback()
            assert told == expected
        report(port, decision, pb.OUTCOME_NO_EDITS)
        report(port, decision, pb.OUTCOME_UNDONE)
        # Stopping waits for what is under way.
        assert process.stop() == 0
        assert feedback() == told
    finally:
        process.stop()
        hosted.close()


async def test_replicas_that_share_a_database_learn_from_each_other_each_outcome_once(config, tmp_path):
    catalog = load_catalog(config)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    mine, theirs = (open_ledger(url, 1000, "none", 0.0, lambda name, fields: None) for _ in range(2))
    learning, models = Learning(), [catalog.by_id["fake/best"]]
    refresh = VerdictRefresh(learning, mine, print)

    def outcomes() -> float:
        found = learning.estimates(decided(0, "fake/best").request, catalog.profiles["on"], models, Standings(catalog))
        return found["fake/best"].outcomes if found else 0.0

    async def until(number: int) -> None:
        async with asyncio.timeout(NEVER):
            while round(outcomes()) != number:
                await refresh.refresh()
                await asyncio.sleep(0.02)

    try:
        for number in range(10):
            theirs.record(decided(number, "fake/best"))
            await theirs.report(Report(f"dec_{number}", "fake/best", Outcome.EDIT_FAILED))
        await until(10)
        for _ in range(3):
            await refresh.refresh()
        assert round(outcomes()) == 10
        theirs.record(decided(10, "fake/best"))
        await theirs.report(Report("dec_10", "fake/best", Outcome.APPLIED))
        await until(11)
    finally:
        await mine.close()
        await theirs.close()


async def test_a_ledger_that_cannot_answer_is_asked_again(config):
    asked = asyncio.Event()

    class Gone:
        times = 0

        async def verdicts(self, since: float, limit: int) -> tuple[()]:
            self.times += 1
            if self.times > 2:
                asked.set()
            raise LedgerUnavailable

    refresh = VerdictRefresh(Learning(), Gone(), print, interval=0.01)
    refresh.start()
    async with asyncio.timeout(NEVER):
        await asked.wait()
    await refresh.close()


@given(
    st.lists(st.tuples(st.sampled_from(sorted(QUALITY)), st.booleans()), max_size=120), st.sampled_from(sorted(QUALITY))
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_is_learnt_qualities_stay_shares_and_a_failure_never_speaks_for_a_model(config, outcomes, failing):
    catalog = load_catalog(config)
    models = [catalog.by_id[f"fake/{name}"] for name in QUALITY]
    request, learning = decided(0, "").request, Learning()

    def learn(number: int, name: str, good: bool) -> None:
        outcome = Outcome.APPLIED if good else Outcome.UNDONE
        verdict = Verdict(f"d{number}", number, "t", Purpose.CODE, "diff", f"fake/{name}", outcome, True)
        learning.learn(verdict)

    def qualities() -> dict[str, float]:
        found = learning.estimates(request, catalog.profiles["exploring"], models, Standings(catalog))
        assert all(0 < entry.quality < 1 and 0 < entry.drawn < 1 for entry in found.values())
        return {name: found[f"fake/{name}"].quality if found else rate / 100 for name, rate in QUALITY.items()}

    for number, (name, good) in enumerate(outcomes):
        learn(number, name, good)
    before = qualities()
    learn(1000, failing, False)
    after = qualities()
    # Against the others: that everybody's work is harder raises what the same results are worth.
    others = [name for name in QUALITY if name != failing]
    assert all(after[failing] - before[failing] <= after[name] - before[name] + 0.02 for name in others)
