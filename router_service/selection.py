"""How a model is selected: candidates, Not Diamond within its budget, else the local policy, and the reason for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from router_service import local_policy
from router_service.candidates import Shortlist, shortlist
from router_service.catalog import Catalog, Profile
from router_service.domain import Consultation, Decision, Purpose, Ranked, Request, Source
from router_service.errors import NoCandidate, UnknownProfile
from router_service.not_diamond import Recommender

# Housekeeping: a cheap model does it well, and nobody should wait for a recommendation about it.
NEVER_CONSULTED = frozenset({Purpose.COMMIT, Purpose.SUMMARY, Purpose.CACHE_PING})
# The policy for callers that name their own candidates.
DEFAULT_TRADEOFF = 3
# Seconds of the caller's deadline kept back for the way home.
MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Policy:
    """What applies to one request: its candidates by name, its trade-off, and whether Not Diamond may be asked."""

    names: tuple[str, ...]
    tradeoff: int
    consult: bool
    preference_id: str


class Selection:
    """Decides requests against one catalogue."""

    def __init__(
        self,
        catalog: Catalog,
        recommender: Recommender | None,
        budget: float,
        today: Callable[[], date],
    ) -> None:
        """`budget`: the most seconds Not Diamond may take; `today`: the day that retirement dates are held against."""
        self.catalog = catalog
        self._recommender = recommender
        self._budget = budget
        self._today = today

    async def select(self, request: Request, time_left: float) -> Decision:
        """Decide one request within `time_left` seconds; UnknownProfile or NoCandidate when it cannot be decided."""
        policy = self._policy(request)
        choice = shortlist(policy.names, request, self.catalog, self._today())
        if request.model:
            return self._requested(request, choice, policy)
        if not choice.kept:
            raise NoCandidate(choice.removed)
        ranking = local_policy.rank(choice.kept, request.purpose, request.requirements, policy.tradeoff, self.catalog)
        consultation = await self._consult(request, choice, policy, time_left)
        source, ranking, reason = _conclude(ranking, consultation, policy.tradeoff)
        return _decision(request, choice, policy, ranking, source, reason, consultation)

    def _policy(self, request: Request) -> Policy:
        own = request.cost_quality_tradeoff
        if request.model:
            return Policy((request.model,), own if own is not None else DEFAULT_TRADEOFF, False, "")
        if request.candidates:
            tradeoff = own if own is not None else DEFAULT_TRADEOFF
            consult = request.purpose not in NEVER_CONSULTED
            return Policy(request.candidates, tradeoff, consult, request.preference_id)
        profile = self._profile(request.profile)
        return Policy(
            names=self.catalog.expand(profile),
            tradeoff=own if own is not None else profile.tradeoff_for(request.purpose),
            consult=profile.not_diamond and request.purpose not in NEVER_CONSULTED,
            preference_id=request.preference_id or profile.preference_id,
        )

    def _profile(self, name: str) -> Profile:
        try:
            return self.catalog.profiles[name]
        except KeyError:
            raise UnknownProfile(name, tuple(self.catalog.profiles)) from None

    async def _consult(
        self, request: Request, choice: Shortlist, policy: Policy, time_left: float
    ) -> Consultation | None:
        if self._recommender is None or not policy.consult or len(choice.kept) == 1 or not request.messages:
            return None
        budget = min(self._budget, time_left - MARGIN)
        if budget <= 0:
            return Consultation(problem="the caller's deadline left no time to ask it")
        return await self._recommender.recommend(
            choice.kept, request.messages, policy.tradeoff, policy.preference_id, budget
        )

    def _requested(self, request: Request, choice: Shortlist, policy: Policy) -> Decision:
        """A named model is served as asked; the filters' objection is told, and only a known unfitness refuses it."""
        objections = [entry for entry in choice.removed if entry.filter != "unknown_model"]
        if objections:
            raise NoCandidate(objections)
        if choice.kept:
            ranking = local_policy.rank(
                choice.kept, request.purpose, request.requirements, policy.tradeoff, self.catalog
            )
        else:
            ranking = (Ranked(request.model, "not in the catalogue: its limits and prices are not known"),)
        reason = f"{request.model} was asked for by name"
        return _decision(request, choice, policy, ranking, Source.REQUESTED, reason, None)


def _conclude(
    ranking: tuple[Ranked, ...], consultation: Consultation | None, tradeoff: int
) -> tuple[Source, tuple[Ranked, ...], str]:
    """Weigh the recommendation against the local ranking: source, ranking and reason."""
    best = ranking[0]
    if consultation is not None and consultation.model:
        chosen = next(entry for entry in ranking if entry.model == consultation.model)
        chosen = replace(chosen, reason=f"recommended by Not Diamond; {chosen.reason}")
        rest = tuple(entry for entry in ranking if entry.model != consultation.model)
        took = f"{consultation.elapsed_seconds * 1000:.0f} ms"
        reason = f"Not Diamond recommended {chosen.model} among {len(ranking)} candidates in {took}"
        return Source.NOT_DIAMOND, (chosen, *rest), reason
    if len(ranking) == 1:
        return Source.ONLY_CANDIDATE, ranking, f"{best.model} is the only candidate that fits"
    reason = f"best of {len(ranking)} candidates at cost_quality_tradeoff {tradeoff}: {best.reason}"
    if consultation is not None:
        reason = f"Not Diamond was of no help ({consultation.problem}); {reason}"
    return Source.LOCAL, ranking, reason


def _decision(
    request: Request,
    choice: Shortlist,
    policy: Policy,
    ranking: tuple[Ranked, ...],
    source: Source,
    reason: str,
    consultation: Consultation | None,
) -> Decision:
    return Decision(
        id=f"dec_{uuid.uuid4().hex}",
        model=ranking[0].model,
        ranking=ranking,
        source=source,
        reason=reason,
        request=request,
        cost_quality_tradeoff=policy.tradeoff,
        removed=choice.removed,
        consultation=consultation,
    )
