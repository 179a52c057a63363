"""What follows when a reply has failed: one more try, another model, or staying, each with its reason; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from router_service.catalog import Catalog, Escalation
from router_service.domain import FAILURES, Outcome, Ranked, Word

# Qualities and shares that differ by less are the same: sums of decimal fractions are not exact.
TOLERANCE = 1e-9


class Failed(Word, frozen=True):
    """A failed reply: whose, how it failed, and how long the row is.

    `in_a_row`: replies in a row that have failed, this one included; `tries`: how many of them are this model's own;
    `earlier`: the models that failed before it in this row, as far as they are known.
    """

    model: str
    outcome: Outcome
    in_a_row: int = 1
    tries: int = 1
    earlier: tuple[str, ...] = ()


class Facts(Word, frozen=True):
    """What is known of a model, each a share from 0 to 1.

    `quality`: tasks solved; `well_formed`: tasks whose edits all matched; `retry_success`: failures its second try mends.
    """

    quality: float
    well_formed: float
    retry_success: float


class Move(Word, frozen=True):
    """The model to answer next, whether it is another one than failed, and why."""

    model: str
    escalated: bool
    reason: str


def facts_of(ranking: Sequence[Ranked], catalog: Catalog) -> dict[str, Facts]:
    """The facts of the ranked models that the catalogue knows: the quality that the ranking began with, and their priors.

    What is learnt does not count here: where most replies are applied, it makes all models alike.
    """
    priors = {
        entry.model: catalog.prior_of(catalog.by_id[entry.model]) for entry in ranking if entry.model in catalog.by_id
    }
    return {
        entry.model: Facts(_known_quality(entry), prior.well_formed / 100, prior.retry_success / 100)
        for entry in ranking
        if (prior := priors.get(entry.model))
    }


def _known_quality(entry: Ranked) -> float:
    return (entry.quality if entry.prior_quality is None else entry.prior_quality) or 0.0


def respond(
    failed: Failed, ranking: Sequence[Ranked], facts: Mapping[str, Facts], rules: Escalation, distrust: str = ""
) -> Move | None:
    """What a failed reply leads to; None when the failed model is not in the ranking, so that there is nothing to compare.

    `ranking` is best first. `distrust` says why this kind of outcome tells nothing here; an undone reply is the user's own
    word and is acted on all the same.
    """
    known = {entry.model: facts.get(entry.model) or Facts(entry.quality or 0.0, 0.0, 0.0) for entry in ranking}
    if failed.model not in known:
        return None
    if failed.outcome not in FAILURES:
        return Move(failed.model, False, f"{failed.outcome} is no failure")
    what = f"{failed.model} did not manage ({failed.outcome})"
    if distrust and failed.outcome is not Outcome.UNDONE:
        return Move(failed.model, False, f"{what}, but that is not acted on: {distrust}")
    # Nobody is sent back to whom the row has already beaten.
    fresh = {model: facts for model, facts in known.items() if model not in failed.earlier or model == failed.model}
    if failed.outcome is Outcome.UNDONE:
        return _leave(failed, fresh, what)
    if failed.in_a_row >= rules.strongest_after:
        return _strongest(failed, known, what)
    known = fresh
    if failed.outcome is Outcome.EDIT_FAILED:
        return _better_formed(failed, known, rules, what)
    return _again_or_stronger(failed, known, rules, what)


def _strongest(failed: Failed, known: Mapping[str, Facts], what: str) -> Move:
    """The strongest of all: the row is so long that cost no longer counts."""
    # The first of equals: they stand in the ranking's order.
    best = max(known, key=lambda model: known[model].quality)
    if _reaches(known[failed.model].quality, known[best].quality):
        reason = (
            f"{what}, the failure number {failed.in_a_row} in a row, but it is the strongest: no candidate is stronger"
        )
        return Move(failed.model, False, reason)
    return Move(best, True, f"{what}, the failure number {failed.in_a_row} in a row; {best} is the strongest candidate")


def _better_formed(failed: Failed, known: Mapping[str, Facts], rules: Escalation, what: str) -> Move:
    """After edits that did not match: a model that keeps to the format better, even if a little weaker."""
    own = known[failed.model]
    for model, other in known.items():
        better = other.well_formed > own.well_formed + TOLERANCE
        if better and _reaches(other.quality, own.quality - rules.slack):
            shares = f"{other.well_formed:.1%} of tasks against {own.well_formed:.1%}"
            return Move(model, True, f"{what}; {model}'s edits are better formed ({shares})")
    return _stronger(failed, known, what) or Move(
        failed.model, False, f"{what}, but no candidate is stronger or has better formed edits"
    )


def _again_or_stronger(failed: Failed, known: Mapping[str, Facts], rules: Escalation, what: str) -> Move:
    """After a linter's or a command's output: one more try where the model is good at that, else a stronger one."""
    mends = known[failed.model].retry_success
    if failed.tries <= 1 and mends >= rules.second_try:
        return Move(failed.model, False, f"{what}; one more try: it mends {mends:.0%} of such failures")
    return _another(failed, known, rules, what)


def _another(failed: Failed, known: Mapping[str, Facts], rules: Escalation, what: str) -> Move:
    """Away from the model: to a stronger one, else to one that is about as good, for what one fails at another may do."""
    stronger = _stronger(failed, known, what)
    if stronger is not None:
        return stronger
    least = known[failed.model].quality - rules.slack
    for model, other in known.items():
        if model != failed.model and _reaches(other.quality, least):
            return Move(model, True, f"{what}; no candidate is stronger, and {model} is about as good")
    return Move(failed.model, False, f"{what}, but no candidate is stronger or about as good")


def _leave(failed: Failed, known: Mapping[str, Facts], what: str) -> Move:
    """After the user has undone the reply: away from the model in any case, to a stronger one or to the next below."""
    stronger = _stronger(failed, known, what)
    if stronger is not None:
        return stronger
    others = [model for model in known if model != failed.model]
    if not others:
        return Move(failed.model, False, f"{what}, but no other candidate is left")
    best = max(others, key=lambda model: known[model].quality)
    return Move(best, True, f"{what}; no candidate is stronger, and {best} is the best of the others")


def _stronger(failed: Failed, known: Mapping[str, Facts], what: str) -> Move | None:
    """The best-ranked of the stronger models, so the one that is worth its cost rather than the strongest."""
    own = known[failed.model].quality
    for model, other in known.items():
        if other.quality > own + TOLERANCE:
            return Move(model, True, f"{what}; {model} is stronger (quality {other.quality:.2f} against {own:.2f})")
    return None


def _reaches(value: float, least: float) -> bool:
    return value >= least - TOLERANCE
