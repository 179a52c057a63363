"""How a model is selected: candidates, the pin, Not Diamond within its budget, else the local policy, and the reason for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

from msgspec import field
from msgspec.structs import replace

from router_service import clipping, economics, local_policy, policy
from router_service.candidates import Shortlist
from router_service.catalog import Catalog, Model, Profile
from router_service.conclusion import Case, Conclusion, conclude, settle, stay
from router_service.conversation import Pin, failed_reply, follow, hear, identity, is_overtaken, is_pinned, judge, lease
from router_service.domain import Consultation, Decision, Leased, Message, PinTrace, Ranked, Request, ShadowTrace, Word
from router_service.errors import NoCandidate, UnknownProfile
from router_service.escalation import Failed, facts_of
from router_service.ground import Ground, ground_of
from router_service.learning import Learning, trace_of, verdict_of
from router_service.local_policy import Learnt, Situation
from router_service.observations import Health, Lengths
from router_service.pins import Pins
from router_service.policy import Policy
from router_service.records import Report
from router_service.standings import Standings

# Seconds of the caller's deadline kept back for the way home.
MARGIN = 0.05
# Why a caller may keep a conversation on its model by itself.
LEASED = "the conversation stays on its model while the prompt cache is warm, by the lease of {lease}"
# Characters of a message that are read for a consultation.
LONGEST_READ = 50_000
EPOCH, DAY = date(1970, 1, 1).toordinal(), 86_400.0
NOTHING: Mapping[str, Learnt] = {}


class Consultant(Protocol):
    """Whoever gives a second opinion on the candidates."""

    async def recommend(
        self,
        models: Sequence[Model],
        messages: Sequence[Message],
        tradeoff: int,
        preference_id: str,
        budget: float,
        tenant: str = "",
    ) -> Consultation:
        """Recommend one of the models within `budget` seconds; a problem is part of the answer, never an exception."""

    def learn(self, decision: Decision, report: Report) -> None:
        """Hear how a recommendation fared."""


class _Bench(Word, frozen=True):
    """The candidates of one request under one policy, ranked; who is below the floor stands at the end."""

    request: Request
    policy: Policy
    ground: Ground
    choice: Shortlist
    ranking: tuple[Ranked, ...]
    # Candidates below the profile's floor: they serve only when nobody else is left.
    below: frozenset[str] = frozenset()
    # What outcomes have taught about the candidates, whether the ranking rests on it or not.
    learnt: Mapping[str, Learnt] = field(default_factory=dict)
    # Whose provider is failing: they stand behind all others, should these fail too.
    failing: tuple[Ranked, ...] = ()


class Selection:
    """Decides requests against a catalogue, which may be replaced at any time."""

    def __init__(
        self,
        catalog: Catalog,
        consultant: Consultant | None,
        pins: Pins,
        budget: float,
        now: Callable[[], float],
        learning: Learning | None = None,
    ) -> None:
        """`budget`: the most seconds a consultation may take; `now`: seconds since the epoch; `learning`: what is known."""
        self._ground = ground_of(catalog)
        self._consultant = consultant
        self._pins = pins
        self._budget = budget
        self._now = now
        self._learning = learning or Learning()
        self._lengths = Lengths()
        self._health = Health()

    @property
    def catalog(self) -> Catalog:
        """What decisions rest on; it may be replaced at any time."""
        return self._ground.catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self._ground = ground_of(catalog)

    async def select(self, request: Request, time_left: float) -> Decision:
        """Decide one request within `time_left` seconds; UnknownProfile or NoCandidate when it cannot be decided."""
        ground = self._ground
        applied = policy.policy_for(request, ground.catalog)
        found = await self._pins.find(request)
        # Which request of its conversation this is; of no use without one.
        name = identity(request) if is_pinned(request) else ""
        pin = hear(found, request, name) if found else None
        warm = pin is not None and pin.is_warm(applied.profile.pin_idle_seconds, self._now())
        bench = self._bench(request, applied, pin if warm else None, ground)
        trace = judge(pin, request, name, bench.choice, warm=warm) if pin else None
        case = self._case(bench, trace, failed_reply(request, pin, trace))
        consultation = None
        conclusion = settle(case)
        if conclusion is None:
            consultation = await self._consult(request, bench, time_left)
            conclusion = conclude(case, applied.tradeoff, consultation)
        decision = self._decision(bench, conclusion, consultation, case.distrust)
        after = follow(pin, case.failed, decision, name)
        await self._remember(request, after, applied.profile)
        return replace(decision, lease_seconds=lease(request, after, _lease_of(applied.profile)))

    async def honour(self, leased: Leased, granted: Decision) -> Decision:
        """What a caller has decided under the lease that came with `granted`, as it would have been decided here."""
        request, ground, model = leased.request, self._ground, granted.model
        try:
            applied = policy.policy_for(request, ground.catalog)
        except UnknownProfile:
            # The configuration has changed meanwhile; the reply is from that model all the same.
            applied = policy.apply(policy.UNNAMED, tuple(entry.model for entry in granted.ranking), request)
        found = await self._pins.find(request)
        name = identity(request)
        pin = hear(found, request, name) if found else None
        try:
            bench = self._bench(request, applied, pin, ground)
        except NoCandidate:
            # As above.
            bench = _Bench(request, applied, ground, Shortlist((), ()), granted.ranking)
        # Whose provider has begun to fail meanwhile may be the one it is on.
        bench = replace(bench, ranking=(*bench.ranking, *bench.failing), failing=())
        decision = self._decision(bench, stay(bench.ranking, model, LEASED.format(lease=granted.id)), None, "")
        decision = replace(decision, id=leased.decision_id, time=leased.time)
        # What was not found may have been there: a store that is late says nothing.
        if found is not None and not is_overtaken(found, model, max(leased.time, granted.time)):
            await self._remember(request, follow(pin, None, decision, name), applied.profile)
        return decision

    async def _remember(self, request: Request, after: Pin | None, profile: Profile) -> None:
        seconds = max(profile.memory_seconds, profile.pin_idle_seconds)
        await self._pins.keep(request, after, seconds)
        await self._pins.owe(request, seconds)

    def learn(self, decision: Decision, report: Report) -> None:
        """Take a report into account: the verdict, the reply's length, its provider's health, the adviser's feedback."""
        if self._consultant is not None:
            self._consultant.learn(decision, report)
        verdict = verdict_of(decision, report, self._now())
        # A reply of a model that the decision did not name says nothing about that decision.
        if verdict.model in {entry.model for entry in decision.ranking} and verdict.model in self.catalog.by_id:
            self._learning.learn(verdict)
        if report.served_model not in self.catalog.by_id:
            # What is learnt is kept, so only what is known may be named.
            return
        self._health.learn(report, self._now())
        if report.output_tokens and not report.tokens_estimated:
            self._lengths.learn(decision.request.purpose, report.served_model, report.output_tokens)

    def _bench(self, request: Request, applied: Policy, pin: Pin | None, ground: Ground) -> _Bench:
        now, shortlist = self._now(), ground.candidates.shortlist
        today = date.fromordinal(EPOCH + int(now // DAY))
        failing = self._health.failing(now)
        choice = shortlist(applied.names, request, today, failing)
        if not choice.kept and failing:
            # A provider that may fail is better than none.
            choice = shortlist(applied.names, request, today)
        # A named model that the catalogue does not know is served as asked; only a known unfitness refuses it.
        if request.model and any(entry.filter == "unknown_model" for entry in choice.removed):
            text = "not in the catalogue: its limits and prices are not known"
            return _Bench(request, applied, ground, Shortlist((), ()), (Ranked(request.model, text),))
        if not choice.kept:
            raise NoCandidate(choice.removed)
        warm = None
        if pin and choice.keeps(pin.model):
            warm = economics.Warm(pin.model, economics.warm_prefix(request.requirements, pin.input_tokens))
        learnt = self._learning.estimates(request, applied.profile, choice.kept, ground.standings)
        acted = learnt if applied.profile.learning.mode == "on" else NOTHING
        situation = self._situation(request, applied.tradeoff, ground.standings, warm, acted)
        floor = applied.profile.floors.get(request.purpose, 0.0)
        ranking, below = local_policy.with_floor(local_policy.rank(choice.kept, situation), floor, request.purpose)
        spare = self._failing(choice, shortlist(applied.names, request, today), situation) if failing else ()
        return _Bench(request, applied, ground, choice, ranking, below, learnt, spare)

    def _failing(self, choice: Shortlist, everyone: Shortlist, situation: Situation) -> tuple[Ranked, ...]:
        """Those who would be candidates if their providers did not fail."""
        left_out = [model for model in everyone.kept if not choice.keeps(model.id)]
        ranked = local_policy.rank(left_out, situation) if left_out else ()
        return tuple(replace(entry, reason=f"{entry.reason}; its provider is failing") for entry in ranked)

    def _case(self, bench: _Bench, trace: PinTrace | None, failed: Failed | None) -> Case:
        request, profile, ground = bench.request, bench.policy.profile, bench.ground
        facts = facts_of(bench.ranking, ground.catalog) if failed else {}
        distrust = self._learning.distrust(request, profile, ground.standings) if failed else ""
        acted = profile.learning.mode == "on"
        return Case(request, bench.ranking, profile.escalation, bench.below, trace, failed, facts, distrust, acted)

    def _situation(
        self,
        request: Request,
        tradeoff: int,
        standings: Standings,
        warm: economics.Warm | None = None,
        learnt: Mapping[str, Learnt] = NOTHING,
    ) -> Situation:
        known, seen = standings.of(request.purpose), self._lengths.of(request.purpose)
        brevity = economics.find_brevity(known, seen)
        return Situation(request.requirements, tradeoff, known, warm, seen, brevity, learnt)

    async def _consult(self, request: Request, bench: _Bench, time_left: float) -> Consultation | None:
        applied = bench.policy
        if self._consultant is None or not applied.consult:
            return None
        kept = [model for model in bench.choice.kept if model.id not in bench.below]
        if len(kept) < 2:  # noqa: PLR2004 - a choice takes two
            return None
        # Reading a text of megabytes would hold up every other decision.
        messages = [replace(turn, text=turn.text[:LONGEST_READ]) for turn in request.messages]
        messages = list(clipping.clip(messages, applied.profile.privacy))
        if not messages:
            return None
        budget = min(self._budget, time_left - MARGIN)
        if budget <= 0:
            return Consultation(problem="the caller's deadline left no time to ask it")
        return await self._consultant.recommend(
            kept, messages, applied.tradeoff, applied.preference_id, budget, request.tenant
        )

    def _decision(
        self, bench: _Bench, conclusion: Conclusion, consultation: Consultation | None, distrust: str
    ) -> Decision:
        request, applied, ground = bench.request, bench.policy, bench.ground
        baseline_model, baseline_cost = self._baseline(request, applied, ground.standings)
        return Decision(
            id=f"dec_{secrets.token_hex(16)}",
            model=conclusion.ranking[0].model,
            ranking=(*conclusion.ranking, *bench.failing),
            source=conclusion.source,
            reason=conclusion.reason,
            request=request,
            cost_quality_tradeoff=applied.tradeoff,
            removed=bench.choice.removed,
            consultation=consultation,
            time=self._now(),
            policy=applied.profile.name,
            pin=conclusion.pin,
            shadow=self._shadow(request, applied, ground),
            baseline_model=baseline_model,
            baseline_cost_usd=baseline_cost,
            strongest_model=economics.strongest(bench.ranking),
            cheapest_model=economics.cheapest(bench.ranking),
            learning=trace_of(bench.ranking, bench.below, bench.learnt, applied, distrust),
            valid_for_seconds=applied.profile.pin_idle_seconds if is_pinned(request) else 0.0,
            note=policy.is_noted(request, ground.catalog),
        )

    def _baseline(self, request: Request, applied: Policy, standings: Standings) -> tuple[str, float | None]:
        standing = standings.of(request.purpose).get(applied.profile.baseline)
        if standing is None:
            return "", None
        return standing.id, local_policy.cost(standing, self._situation(request, applied.tradeoff, standings)).total

    def _shadow(self, request: Request, applied: Policy, ground: Ground) -> ShadowTrace | None:
        """What the shadow profile's local policy would have chosen; it costs no call and changes nothing."""
        catalog = ground.catalog
        profile = catalog.profiles.get(applied.profile.shadow)
        if profile is None:
            return None
        other = policy.apply(profile, catalog.expand(profile), request)
        try:
            best = self._bench(request, other, None, ground).ranking[0]
        except NoCandidate:
            return ShadowTrace(profile.name, "")
        return ShadowTrace(profile.name, best.model, best.expected_cost_usd)


def _lease_of(profile: Profile) -> float:
    return min(profile.lease_seconds, profile.pin_idle_seconds)
