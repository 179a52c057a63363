"""GetSavings over real gRPC: what replies came to, and what the strongest or the cheapest model alone would have cost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.router.v1 import router_pb2 as pb
from tests.processes import free_port, start_router
from tests.router_service.calls import call, select

CONFIG = """
[[models]]
id = "x/strong"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 10
output_usd_per_mtok = 100
source = "made up"
checked = "2026-11-23"
prior = "gpt-5 (high)"
prior_kind = "inherited"

[[models]]
id = "x/middle"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 2
output_usd_per_mtok = 20
source = "made up"
checked = "2026-11-23"
prior = "gpt-4.1"
prior_kind = "inherited"

[[models]]
id = "x/cheap"
context_tokens = 900000
max_output_tokens = 16000
input_usd_per_mtok = 1
output_usd_per_mtok = 10
source = "made up"
checked = "2026-11-23"
prior = "gpt-4.1-nano"
prior_kind = "inherited"

[profiles.three]
candidates = ["x/*"]
cost_quality_tradeoff = 5

[profiles.three.learning]
mode = "off"
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("router") / "router.toml"
    path.write_text(CONFIG)
    number = free_port()
    process = start_router(number, ROUTER_CONFIG=str(path))
    yield number
    process.stop()


def report(port: int, decision: pb.SelectModelResponse, outcome: str, **fields: object) -> None:
    number = pb.Outcome.Value(f"OUTCOME_{outcome.upper()}")
    call(port, "ReportOutcome", pb.ReportOutcomeRequest(decision_id=decision.decision_id, outcome=number, **fields))


def reply(port: int, outcome: str, served: str = "x/middle", **fields: object) -> pb.SelectModelResponse:
    """One request, its delivery of a million tokens in and a hundred thousand out, and how the reply fared."""
    decision = select(port, **{"purpose": "PURPOSE_CODE", "profile": "three", **fields})
    report(port, decision, "completed", served_model=served, input_tokens=1_000_000, output_tokens=100_000)
    report(port, decision, outcome)
    return decision


def savings(port: int, **fields: str) -> pb.GetSavingsResponse:
    return call(port, "GetSavings", pb.GetSavingsRequest(**fields))


def after(outcome: str) -> dict[str, object]:
    return {"previousReply": {"outcome": f"OUTCOME_{outcome.upper()}", "consecutiveFailures": 1}}


def test_rows_and_total_tell_first_tries_rescues_failures_and_the_cost_of_what_was_applied(port):
    reply(port, "applied", tenant="told")
    reply(port, "edit_failed", tenant="told")
    reply(port, "applied", "x/strong", tenant="told", **after("edit_failed"))
    reply(port, "completed", "x/cheap", tenant="told", purpose="PURPOSE_COMMIT")
    answer = savings(port, tenant="told")
    rows = {(row.model, pb.Purpose.Name(row.purpose)): row for row in answer.rows}
    assert set(rows) == {
        ("x/middle", "PURPOSE_CODE"),
        ("x/strong", "PURPOSE_CODE"),
        ("x/cheap", "PURPOSE_COMMIT"),
    }
    middle, strong = rows["x/middle", "PURPOSE_CODE"], rows["x/strong", "PURPOSE_CODE"]
    assert (middle.turns, middle.applied_first_time, middle.rescued, middle.failed) == (2, 1, 0, 1)
    assert (strong.turns, strong.applied_first_time, strong.rescued, strong.failed) == (0, 0, 1, 0)
    assert middle.cost_per_applied_usd == pytest.approx(8.0)
    commit = rows["x/cheap", "PURPOSE_COMMIT"]
    assert commit.turns == 0
    assert not commit.HasField("cost_per_applied_usd")
    total = answer.total
    assert (total.decisions, total.turns, total.applied_first_time, total.rescued, total.failed) == (4, 2, 1, 1, 1)
    # Two middle replies, a strong one and a commit, for two replies that were applied.
    assert total.cost_usd == pytest.approx(4 + 4 + 20 + 2)
    assert total.cost_per_applied_usd == pytest.approx(15.0)


def test_the_same_tokens_are_priced_on_the_strongest_and_on_the_cheapest_candidate(port):
    reply(port, "applied", tenant="priced")
    total = savings(port, tenant="priced").total
    assert total.cost_usd == pytest.approx(2 + 2)
    assert total.strongest_cost_usd == pytest.approx(10 + 10)
    assert total.cheapest_cost_usd == pytest.approx(1 + 1)


def test_only_candidates_that_fit_the_request_are_compared_with(port):
    decision = select(port, tenant="fits", candidates={"models": ["x/middle", "x/cheap"]})
    report(port, decision, "completed", served_model="x/middle", input_tokens=1_000_000, output_tokens=100_000)
    assert savings(port, tenant="fits").total.strongest_cost_usd == pytest.approx(4.0)


def test_a_model_asked_for_by_name_counts_as_it_cost(port):
    decision = select(port, tenant="named", model="x/middle")
    report(port, decision, "completed", served_model="x/middle", input_tokens=1_000_000, output_tokens=100_000)
    total = savings(port, tenant="named").total
    assert total.cost_usd == total.strongest_cost_usd == total.cheapest_cost_usd == pytest.approx(4.0)


def test_a_decision_of_which_no_tokens_are_known_costs_nothing_anywhere(port):
    report(port, select(port, tenant="untold", profile="three"), "applied")
    total = savings(port, tenant="untold").total
    assert (total.cost_usd, total.strongest_cost_usd, total.cheapest_cost_usd) == (0.0, 0.0, 0.0)
    assert not total.HasField("cost_per_applied_usd")


def test_what_an_applied_reply_costs_is_taken_over_replies_whose_cost_is_known(port):
    reply(port, "applied", tenant="partly")
    report(port, select(port, tenant="partly", profile="three"), "applied", served_model="x/middle")
    assert savings(port, tenant="partly").total.cost_per_applied_usd == pytest.approx(4.0)


def test_a_plan_and_the_editors_work_on_it_are_one_turn_and_applied_once(port):
    reply(port, "applied", "x/strong", tenant="plans", purpose="PURPOSE_ARCHITECT")
    reply(port, "applied", tenant="plans", purpose="PURPOSE_EDITOR")
    answer = savings(port, tenant="plans")
    assert {pb.Purpose.Name(row.purpose): (row.turns, row.applied_first_time) for row in answer.rows} == {
        "PURPOSE_ARCHITECT": (1, 1),
        "PURPOSE_EDITOR": (1, 1),
    }
    total = answer.total
    assert (total.decisions, total.turns, total.applied_first_time, total.judged) == (2, 1, 1, 1)
    assert total.cost_per_applied_usd == pytest.approx(20 + 4)


def test_a_plan_whose_editor_had_to_be_asked_again_was_rescued_and_not_applied_at_once(port):
    reply(port, "applied", "x/strong", tenant="mends", purpose="PURPOSE_ARCHITECT")
    reply(port, "edit_failed", tenant="mends", purpose="PURPOSE_EDITOR")
    reply(port, "applied", tenant="mends", purpose="PURPOSE_EDITOR", **after("edit_failed"))
    reply(port, "applied", tenant="mends")
    total = savings(port, tenant="mends").total
    assert (total.turns, total.applied_first_time, total.rescued, total.judged) == (2, 1, 1, 2)
    assert total.cost_per_applied_usd == pytest.approx((20 + 4 + 4 + 4) / 2)


def test_an_editor_without_plans_in_the_sums_counts_for_itself(port):
    reply(port, "applied", tenant="edits", purpose="PURPOSE_EDITOR")
    total = savings(port, tenant="edits").total
    assert (total.turns, total.applied_first_time) == (1, 1)
    assert total.cost_per_applied_usd == pytest.approx(4.0)


def test_a_request_that_is_sent_again_because_its_provider_failed_is_one_turn(port):
    report(port, select(port, tenant="resends", profile="three", purpose="PURPOSE_CODE"), "provider_failed")
    reply(port, "applied", tenant="resends")
    total = savings(port, tenant="resends").total
    assert (total.decisions, total.replies, total.turns, total.applied_first_time) == (2, 1, 1, 1)


def test_what_follows_an_undone_reply_is_a_new_request_and_the_undone_one_failed(port):
    reply(port, "undone", tenant="undoes")
    reply(port, "applied", tenant="undoes", **after("undone"))
    total = savings(port, tenant="undoes").total
    assert (total.turns, total.applied_first_time, total.rescued, total.failed) == (2, 1, 0, 1)


def test_an_escalated_decision_is_counted(port):
    first = reply(port, "edit_failed", tenant="climbs", conversationId="climbing")
    failed = {
        "outcome": "OUTCOME_EDIT_FAILED",
        "model": first.model,
        "decisionId": first.decision_id,
        "consecutiveFailures": 1,
    }
    second = reply(port, "applied", tenant="climbs", conversationId="climbing", previousReply=failed)
    assert second.source == pb.DECISION_SOURCE_ESCALATED
    assert (savings(port, tenant="climbs").total.escalated, savings(port, tenant="climbs").total.rescued) == (1, 1)


def test_a_profile_restricts_the_sums(port):
    reply(port, "applied", tenant="filtered")
    select(port, tenant="filtered", candidates={"models": ["x/cheap"]})
    assert savings(port, tenant="filtered").total.decisions == 2
    assert savings(port, tenant="filtered", profile="three").total.decisions == 1


def test_a_list_tells_how_the_reply_before_fared(port):
    reply(port, "applied", tenant="listed", **after("lint_failed"))
    (entry,) = call(port, "ListDecisions", pb.ListDecisionsRequest(tenant="listed")).decisions
    assert entry.previous_outcome == pb.OUTCOME_LINT_FAILED


def test_a_ledger_on_disk_tells_the_same_after_a_restart(tmp_path: Path):
    path = tmp_path / "router.toml"
    path.write_text(CONFIG)
    env = {"ROUTER_CONFIG": str(path), "ROUTER_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.db'}"}
    number = free_port()
    process = start_router(number, **env)
    reply(number, "edit_failed")
    reply(number, "applied", "x/strong", **after("edit_failed"))
    process.stop()
    number = free_port()
    process = start_router(number, **env)
    try:
        total = savings(number).total
        assert (total.turns, total.rescued, total.failed) == (1, 1, 1)
        assert total.cost_usd == pytest.approx(4 + 20)
        assert total.strongest_cost_usd == pytest.approx(20 + 20)
    finally:
        process.stop()
