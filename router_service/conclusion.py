"""Weighs pin, failed reply, recommendation and local ranking against each other: the ranking, its source, its reason; pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field
from msgspec.structs import replace

from router_service.catalog import Escalation
from router_service.domain import Consultation, PinTrace, Ranked, Request, Source, Word
from router_service.escalation import Facts, Failed, respond


class Case(Word, frozen=True):
    """What is to be concluded about: the request, its ranking, the pin as judged, and the failed reply to be answered.

    `below`: the models below the profile's floor, who stand at the ranking's end. `distrust`: why the previous reply's kind
    of outcome tells nothing here, empty when it does; `heeds_distrust`: whether that is acted on.
    """

    request: Request
    ranking: tuple[Ranked, ...]
    rules: Escalation
    below: frozenset[str] = frozenset()
    pin: PinTrace | None = None
    failed: Failed | None = None
    facts: Mapping[str, Facts] = field(default_factory=dict)
    distrust: str = ""
    heeds_distrust: bool = False


class Conclusion(Word, frozen=True):
    """The ranking, its first the chosen model; who decided; why; and what became of the pin."""

    ranking: tuple[Ranked, ...]
    source: Source
    reason: str
    pin: PinTrace | None = None


def settle(case: Case) -> Conclusion | None:
    """What is settled without anybody's advice: a named model, a pin that holds, a failed reply; None when nothing is."""
    request, ranking, pin = case.request, case.ranking, case.pin
    if request.model:
        return Conclusion(ranking, Source.REQUESTED, f"{request.model} was asked for by name", pin)
    began = request.previous_reply.model
    other = pin is None or not pin.kept or pin.model != began
    if request.continuation and other and began in {entry.model for entry in ranking}:
        left = pin and replace(pin, kept=False, reason=f"{began} began the reply that is to be continued")
        return Conclusion(_first(ranking, began), Source.LOCAL, f"{began}: goes on with the reply it began", left)
    if pin and pin.kept:
        return Conclusion(_first(ranking, pin.model), Source.PINNED, f"{pin.model}: {pin.reason}", pin)
    return _answer(case, case.failed) if case.failed else None


def conclude(case: Case, tradeoff: int, consultation: Consultation | None) -> Conclusion:
    """Conclude from the local ranking, the pin that does not hold, and the advice, where there are any."""
    ranking = case.ranking
    if consultation and consultation.model:
        ranking, source, reason = _recommended(case, consultation)
    elif len(ranking) == 1:
        source, reason = Source.ONLY_CANDIDATE, f"{ranking[0].model} is the only candidate that fits"
    else:
        source = Source.LOCAL
        reason = f"best of {len(ranking)} candidates at cost_quality_tradeoff {tradeoff}: {ranking[0].reason}"
        if consultation:
            reason = f"Not Diamond was of no help ({consultation.problem}); {reason}"
    return Conclusion(ranking, source, _afresh(case, ranking[0].model) + reason, case.pin)


def stay(ranking: tuple[Ranked, ...], model: str, reason: str) -> Conclusion:
    """That a conversation stays on a model, whether that is still ranked or not."""
    if model not in {entry.model for entry in ranking}:
        ranking = (Ranked(model, "no longer a candidate"), *ranking)
    return Conclusion(_first(ranking, model), Source.PINNED, f"{model}: {reason}", PinTrace(model, True, reason))


def _answer(case: Case, failed: Failed) -> Conclusion | None:
    """What a failed reply leads to; None when the model it came from is no candidate."""
    pin = case.pin
    # The failed model itself may be below the floor; nobody is sent there.
    able = [entry for entry in case.ranking if entry.model not in case.below or entry.model == failed.model]
    move = respond(failed, able, case.facts, case.rules, case.distrust if case.heeds_distrust else "")
    if move is None:
        return None
    ranking = _first(case.ranking, move.model)
    if move.escalated:
        return Conclusion(ranking, Source.ESCALATED, f"{move.reason}: {ranking[0].reason}", pin)
    if pin and pin.model == move.model:
        return Conclusion(ranking, Source.PINNED, move.reason, PinTrace(pin.model, True, move.reason))
    return Conclusion(ranking, Source.LOCAL, move.reason, pin)


def _afresh(case: Case, chosen: str) -> str:
    """Why this is a fresh choice, where it might not have been one; each reason ends in a separator."""
    notes, failed, pin = [], case.failed, case.pin
    if failed:
        named = f"{failed.model}, whose reply failed, is no candidate here"
        notes.append(named if failed.model else "it is not known whose reply failed")
    if pin:
        same = pin.model == chosen
        notes.append(f"chosen afresh ({pin.reason})" if same else f"no longer {pin.model} ({pin.reason})")
    return "".join(f"{note}; " for note in notes)


def _recommended(case: Case, consultation: Consultation) -> tuple[tuple[Ranked, ...], Source, str]:
    """The recommendation leads, unless it would leave a warm model without earning the cost of the switch."""
    ranking = case.ranking
    chosen = next(entry for entry in ranking if entry.model == consultation.model)
    # The warm model is the one whose switch costs nothing.
    warm = next((entry for entry in ranking if entry.switch_cost_usd == 0 and entry.model not in case.below), None)
    if warm and chosen.switch_cost_usd and (chosen.score or 0) < (warm.score or 0):
        reason = (
            f"Not Diamond recommended {chosen.model}, which does not earn the ${chosen.switch_cost_usd:.4f} "
            f"of leaving {warm.model}'s warm prompt cache"
        )
        return _first(ranking, warm.model), Source.LOCAL, reason
    source = Source.CACHED if consultation.cached else Source.NOT_DIAMOND
    when = (
        "before, for the same question" if consultation.cached else f"in {consultation.elapsed_seconds * 1000:.0f} ms"
    )
    reason = f"Not Diamond recommended {chosen.model} among {len(ranking)} candidates {when}"
    marked = replace(chosen, reason=f"recommended by Not Diamond; {chosen.reason}")
    return (marked, *_first(ranking, chosen.model)[1:]), source, reason


def _first(ranking: tuple[Ranked, ...], model: str) -> tuple[Ranked, ...]:
    """The ranking with a model moved to its head."""
    head = [entry for entry in ranking if entry.model == model]
    return (*head, *(entry for entry in ranking if entry.model != model))
