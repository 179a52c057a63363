"""What the replay's figures say, in tables and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from bench.routing.comparison import RESAMPLES, Interval
from bench.routing.pools import TARGET_GAIN, TARGET_POOL, TARGET_VERIFIER
from bench.routing.study import Row, Study, TaskTypes
from bench.routing.verifiers import VERIFIERS

UNINFORMATIVE = VERIFIERS[-1].name
# The share of the orders in which a policy that notices must have noticed.
MOST_ORDERS = 0.9

COLUMNS = (
    f"{'verifier':<14} {'learns':<6} {'quality':>7} {'$/task':>8} {'of strong':>9} {'mix':>5}  {'over mix':<20}"
    f" {'over zero router':<20} {'over type table':<20} {'replies':>7}  kept/first,last tenth"
)


def explanation() -> str:
    """How to read the tables, and what the replay assumes."""
    return f"""\
The shipped policy (router_service.selection.Selection, in process, pins in memory) decides every request of a replay; the
record says what the chosen model's answer to the task was worth and what it cost. A simulated verifier, "P(objects | wrong)/
P(objects | right)", stands for edits that fail, tests and linters; where it objects, the next request carries
previous_reply = command_failed and the policy decides again. The last reply counts, right or wrong; all replies are paid for.
There are no records of a second try by the same model, so the replay's profile earns none (escalation.second_try above 1):
a failure escalates at once or the answer stands. Real Aider would ask again there, and pay. "2nd try" rows model that: the
shipped escalation.second_try (.45), and wherever the policy stays on the model after an objection the model is asked again at
the same cost and mends the share of its failures that the router's priors say (retry success in Aider's benchmark, whose
tasks are easier than these). That is a model, no record, and an optimistic one; they are compared with mixes of models that
are asked again just so. The policy is told Aider's polyglot result of each model or its nearest relative, and the mean cost of
a task; never the table's scores.
mix: the random mix of cheap and strong of equal cost. zero router: the best mix of any fixed models of the pool. type table:
the best mix of tables by task type at equal cost, made from the scores of these very models on the other folds: more than
the router is told. In brackets: 95% intervals, {RESAMPLES} bootstrap resamples of tasks and orders. kept: objections to a
first answer that changed nothing. shuffled: the control, the same verdicts dealt out to other tasks. APGR and gains in AIQ
are given for no router here: one is a single point, a hull leaves out a point that lies below it, and so they could not show
a loss."""


def fixed_models(found: Study) -> list[str]:
    """A pool's heading and its models."""
    lines = [
        f"{found.pool}   ({found.tasks} tasks, {found.orders} orders)" + (f"   * {found.note}" if found.note else "")
    ]
    for fixed in sorted(found.models, key=lambda model: model.cost):
        taken_for = "assumed" if fixed.prior is None else f"{100 * fixed.prior:.1f}%"
        lines.append(f"  {fixed.model:<46} {100 * fixed.quality:5.1f}%  ${fixed.cost:.4f}  prior {taken_for}")
    lines.append(
        f"  {'oracle: the cheapest that solves it':<46} {100 * found.oracle_quality:5.1f}%  ${found.oracle_cost:.4f}"
    )
    return lines


def rows(found: Study) -> list[str]:
    """A pool's table."""
    strong = next(model.cost for model in found.models if model.model == found.strong)
    lines = ["  " + COLUMNS]
    for row in found.rows:
        own = row.comparison
        kept = f"{row.stayed[0]:.0%}, {row.stayed[1]:.0%}"
        over_types = _signed(own.over_types) if own.over_types else "-"
        lines.append(
            f"  {_name(row):<14} {row.learning:<6} {100 * own.quality:6.1f}% {own.cost:8.4f} {own.cost / strong:>9.0%}"
            f" {100 * own.mix:5.1f}  {_signed(own.over_mix):<20} {_signed(own.over_zero_router):<20} {over_types:<20}"
            f" {row.replies:>7.2f}  {kept}"
        )
    return lines


def types(found: TaskTypes) -> list[str]:
    """What a table by task type does; the shipped policy has none, since nothing tells it a task's type."""
    return [
        "A table by task type (not in the router: nothing tells it a task's type), against the same models:",
        f"  5-fold cross-validated: AIQ {_signed(found.aiq)} over the zero router; where cost does not count"
        f" {_signed(found.seen)} over the best model alone ({100 * found.best_single:.1f}%)",
        f"  on a type it has not seen: AIQ {_signed(found.aiq_unseen)}; where cost does not count {_signed(found.unseen)}",
        "",
    ]


def findings(studies: Sequence[Study]) -> list[str]:
    """Where acting on outcomes does not help or harms, what learning added, and which verifiers it doubted, in sentences."""
    told = [(found, row) for found in studies for row in found.rows if row.learnt]
    shown = [
        f"  {found.pool}, {row.verifier}: {_signed(row.learnt)}; first {_shares(row)}"
        for found, row in told
        if row.learnt and row.learnt.verdict != "no difference shown"
    ]
    doubted = [
        f"  {found.pool}, {row.verifier}: {_doubt(row)}"
        for found, row in told
        if row.distrusted and row.verifier != UNINFORMATIVE
    ]
    return [
        *(line for found in studies if found.pool == TARGET_POOL for line in _target(found)),
        "Where it does not help (no gain shown over the zero router, the best mix of the pool's fixed models):",
        *([line for found in studies for line in _helpless(found)] or ["  nowhere"]),
        f"What a verifier that tells nothing ({UNINFORMATIVE}) does, against the mix (a profile in shadow does as with off):",
        *(line for found in studies for line in _uninformative(found)),
        "What learning adds to or takes from the gain over the mix (differences that are shown; else none is):",
        *(shown or ["  none"]),
        "Which verifiers that do tell something the policy stopped to believe, learning on:",
        *(doubted or ["  none"]),
    ]


def _target(found: Study) -> list[str]:
    """Whether what was asked of the pair is reached."""
    lines = [f"Asked of {found.pool}:"]
    for row in found.rows:
        own = row.comparison.over_mix
        if row.aside:
            continue
        if row.verifier == TARGET_VERIFIER:
            met = "met" if own.value >= TARGET_GAIN else "MISSED"
            unsure = " by the estimate; the interval reaches below it" if own.low < TARGET_GAIN <= own.value else ""
            lines.append(
                f"  at least +{TARGET_GAIN:g} at {row.verifier}: {_signed(own)}, learning {row.learning}: {met}{unsure}"
            )
        elif row.verifier == UNINFORMATIVE:
            lost = "MISSED" if own.verdict == "worse" else "met"
            lines.append(f"  no loss shown at {row.verifier}: {_signed(own)}, learning {row.learning}: {lost}")
            noticed = "met" if row.distrusted >= MOST_ORDERS else "MISSED"
            lines.append(f"  it notices and stops: learning {row.learning}, {_doubt(row)}: {noticed}")
    return lines


def _uninformative(found: Study) -> list[str]:
    lines = []
    for row in found.rows:
        if row.verifier != UNINFORMATIVE:
            continue
        own = row.comparison.over_mix
        what = f"learning {row.learning}" + (f", {row.aside} modelled" if row.aside else "")
        lost = "   A LOSS" if own.verdict == "worse" else ""
        doubt = _doubt(row) if row.replies > 1 else "no failure moves anything"
        lines.append(f"  {found.pool}, {what}: {_signed(own)}; {doubt}{lost}")
    return lines


def _doubt(row: Row) -> str:
    after = f" after {row.distrusted_after:.0f} tasks (median)" if row.distrusted_after is not None else ""
    return f"noticed in {row.distrusted:.0%} of orders{after}, {row.stayed[1]:.0%} of objections kept in the last tenth"


def _helpless(found: Study) -> list[str]:
    """A line for each verifier that brings nothing, and one for a pool where nothing ever follows from a failure."""
    rows = [row for row in found.rows if row.aside != "shuffled"]
    stuck = {row.learning for row in rows} - {row.learning for row in rows if row.replies > 1}
    lines = [
        f"  {found.pool}, learning {mode}: no failure moves anything, no candidate passes for stronger"
        for mode in sorted(stuck)
    ]
    for row in rows:
        own = row.comparison
        if row.learning not in stuck and own.over_zero_router.low <= 0:
            gains = f"{_signed(own.over_zero_router)} over the zero router, {_signed(own.over_mix)} over the mix"
            lost = "   A LOSS" if own.over_mix.verdict == "worse" else ""
            lines.append(f"  {found.pool}, {_name(row)}, learning {row.learning}: {gains}{lost}")
    return lines


def _name(row: Row) -> str:
    return f"{row.verifier} {row.aside}".rstrip()


def _shares(row: Row) -> str:
    return ", ".join(f"{model.split(' (')[0]} {share:.0%}" for model, share in row.first.items())


def _signed(found: Interval) -> str:
    # Adding 0 turns a rounded -0.0 into 0.0.
    value, low, high = (round(bound, 1) + 0.0 for bound in (found.value, found.low, found.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
