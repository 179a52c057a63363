"""Weighs pin, recommendation and local ranking against each other: the final ranking, its source and its reason; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from router_service.domain import FAILURES, Consultation, PinTrace, Ranked, Request, Source


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The ranking, its first the chosen model; who decided; and why."""

    ranking: tuple[Ranked, ...]
    source: Source
    reason: str


def settle(ranking: tuple[Ranked, ...], request: Request, pin: PinTrace | None) -> Conclusion | None:
    """What is settled without anybody's advice: a named model, a pin that holds, an escalation; None when nothing is."""
    if request.model:
        return Conclusion(ranking, Source.REQUESTED, f"{request.model} was asked for by name")
    if pin and pin.kept:
        return Conclusion(_first(ranking, pin.model), Source.PINNED, f"{pin.model}: {pin.reason}")
    return _escalate(ranking, request, pin)


def conclude(
    ranking: tuple[Ranked, ...], tradeoff: int, pin: PinTrace | None, consultation: Consultation | None
) -> Conclusion:
    """Conclude from the local ranking, the pin that does not hold, and the advice, where there are any."""
    if consultation and consultation.model:
        return _recommended(ranking, consultation)
    if len(ranking) == 1:
        return Conclusion(ranking, Source.ONLY_CANDIDATE, f"{ranking[0].model} is the only candidate that fits")
    reason = f"best of {len(ranking)} candidates at cost_quality_tradeoff {tradeoff}: {ranking[0].reason}"
    if consultation:
        reason = f"Not Diamond was of no help ({consultation.problem}); {reason}"
    if pin:
        reason = f"no longer {pin.model} ({pin.reason}); {reason}"
    return Conclusion(ranking, Source.LOCAL, reason)


def _escalate(ranking: tuple[Ranked, ...], request: Request, pin: PinTrace | None) -> Conclusion | None:
    """After a failed reply: the best-ranked of the models that are stronger than the one that failed.

    When none is, the model stays: to start again with a weaker one would be a loop.
    """
    previous = request.previous_reply
    if previous.outcome not in FAILURES or request.ignore_pin:
        return None
    name = pin.model if pin else previous.model
    failed = next((entry for entry in ranking if entry.model == name), None)
    if failed is None:
        return None
    stronger = [entry for entry in ranking if (entry.quality or 0) > (failed.quality or 0)]
    if not stronger:
        reason = f"{name} did not manage ({previous.outcome}), but no candidate is stronger"
        return Conclusion(_first(ranking, name), Source.PINNED if pin else Source.LOCAL, reason)
    chosen = stronger[0]
    reason = f"{name} did not manage ({previous.outcome}); {chosen.model} is stronger: {chosen.reason}"
    return Conclusion(_first(ranking, chosen.model), Source.ESCALATED, reason)


def _recommended(ranking: tuple[Ranked, ...], consultation: Consultation) -> Conclusion:
    """The recommendation leads, unless it would leave a warm model without earning the cost of the switch."""
    chosen = next(entry for entry in ranking if entry.model == consultation.model)
    # The warm model is the one whose switch costs nothing.
    warm = next((entry for entry in ranking if entry.switch_cost_usd == 0), None)
    if warm and chosen.switch_cost_usd and (chosen.score or 0) < (warm.score or 0):
        reason = (
            f"Not Diamond recommended {chosen.model}, which does not earn the ${chosen.switch_cost_usd:.4f} "
            f"of leaving {warm.model}'s warm prompt cache"
        )
        return Conclusion(_first(ranking, warm.model), Source.LOCAL, reason)
    source = Source.CACHED if consultation.cached else Source.NOT_DIAMOND
    when = (
        "before, for the same question" if consultation.cached else f"in {consultation.elapsed_seconds * 1000:.0f} ms"
    )
    reason = f"Not Diamond recommended {chosen.model} among {len(ranking)} candidates {when}"
    return Conclusion(
        tuple(
            replace(entry, reason=f"recommended by Not Diamond; {entry.reason}") if entry is chosen else entry
            for entry in _first(ranking, chosen.model)
        ),
        source,
        reason,
    )


def _first(ranking: tuple[Ranked, ...], model: str) -> tuple[Ranked, ...]:
    """The ranking with a model moved to its head."""
    head = [entry for entry in ranking if entry.model == model]
    return (*head, *(entry for entry in ranking if entry.model != model))
