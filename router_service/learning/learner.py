"""What this router has learnt so far: takes verdicts in, answers for qualities and for trust, forgets within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cachetools import LRUCache
from msgspec.structs import replace

from router_service.catalog import MOST_MEMORIES, Catalog, Model, Profile
from router_service.domain import Outcome, Purpose, Request
from router_service.learning import beliefs, trust
from router_service.learning.beliefs import Beliefs
from router_service.learning.evidence import TELLING, Counts, Entry, Evidence, Pool, succeeded
from router_service.local_policy import Learnt
from router_service.records import Verdict
from router_service.standings import Standing, Standings

# Verdicts that are remembered one by one, so that none counts twice and a later one replaces the earlier.
MOST_VERDICTS = 20_000
# Pools whose beliefs are kept ready, and signals whose trust is.
MOST_READY = 1_024
# Signals that may tell nothing; an undone reply is the user's own word, and an edit that does not match is a fact.
DOUBTABLE = (Outcome.LINT_FAILED, Outcome.COMMAND_FAILED)
# Replies without which no signal is doubted; after how many more, as a share and at most, it is looked at again.
FEWEST_REPLIES, GROWTH, MOST_NEW = 150.0, 0.1, 50
# The share of conversations that go on acting on a doubted signal: without them nothing could ever clear it.
STILL_TESTED = 0.2
# What is read of a conversation's text where it has no id, so that the same question is drawn for alike.
SEED_MESSAGES, SEED_CHARACTERS = 8, 2_000


@dataclass(frozen=True, slots=True)
class _Seen:
    verdict: Verdict
    entries: dict[float, Entry | None]


@dataclass(frozen=True, slots=True)
class _Ready:
    pool: Pool
    version: int
    standings: Standings
    beliefs: Beliefs

    def holds_for(self, pool: Pool, standings: Standings) -> bool:
        return self.pool is pool and self.version == pool.version and self.standings is standings


class Learning:
    """The evidence, and what follows from it for one request; of one event loop, without I/O."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        # One for each length of memory that a profile has asked for.
        self._evidence: dict[float, Evidence] = {}
        self._ready: LRUCache[tuple[float, float, str, Purpose, str], _Ready] = LRUCache(MOST_READY)
        self._trust: LRUCache[tuple[float, str, Purpose, Outcome], tuple[int, trust.Trust]] = LRUCache(MOST_READY)

    def prepare(self, catalog: Catalog) -> None:
        """Count for each length of memory that the profiles ask for, so that no decision has to wait for it."""
        for profile in catalog.profiles.values():
            if profile.learning.mode != "off":
                self._kept(profile.learning.memory)

    def learn(self, verdict: Verdict) -> None:
        """Take a verdict in; one that is known changes nothing, and a later one on the same reply replaces it."""
        if verdict.outcome not in TELLING:
            return
        known = self._seen.get(verdict.decision_id)
        if known is not None:
            late = verdict.reported < known.verdict.reported
            if late or known.verdict.outcome is verdict.outcome:
                return
            verdict = replace(known.verdict, outcome=verdict.outcome, reported=verdict.reported)
        entries = {
            memory: evidence.add(verdict, known.entries.get(memory) if known else None)
            for memory, evidence in self._evidence.items()
        }
        self._seen[verdict.decision_id] = _Seen(verdict, entries)
        if len(self._seen) > MOST_VERDICTS:
            self._seen.popitem(last=False)

    def estimates(
        self, request: Request, profile: Profile, models: Iterable[Model], standings: Standings
    ) -> Mapping[str, Learnt]:
        """What is learnt of these models' qualities; empty when the profile does not learn, or nothing is known yet."""
        if profile.learning.mode == "off":
            return {}
        found = self._beliefs(request, profile, standings)
        if found is None:
            return {}
        # There is nothing to explore for where nobody tells how replies fare: drawing begins as outcomes come in.
        share = found.outcomes / (found.outcomes + profile.learning.prior_weight)
        scale, seed = profile.learning.exploration * share, _seed(request, profile)
        learnt, known = {}, standings.of(request.purpose)
        for model in models:
            belief = found.models.get(model.id)
            if belief is None:
                belief = found.add(model.id, known[model.id].quality)
            learnt[model.id] = Learnt(belief.quality, beliefs.draw(belief, seed, scale), belief.outcomes)
        return learnt

    def distrust(self, request: Request, profile: Profile, standings: Standings) -> str:
        """Why the previous reply's outcome is not to be acted on, as a sentence; empty when it is."""
        outcome = request.previous_reply.outcome
        if profile.learning.mode == "off" or outcome not in DOUBTABLE:
            return ""
        memory = profile.learning.memory
        known, pools = standings.of(request.purpose), list(self._kept(memory).pools(request.tenant, request.purpose))
        first = _signals([pool.first for pool in pools], outcome, known)
        replies = sum(entry.replies for entry in first)
        if replies < FEWEST_REPLIES:
            return ""
        later = _signals([pool.later for pool in pools], outcome, known)
        key, told = (memory, request.tenant, request.purpose, outcome), sum(pool.added for pool in pools)
        judged = self._trust.get(key)
        if judged is None or not 0 <= told - judged[0] < min(judged[0] * GROWTH, MOST_NEW):
            judged = self._trust[key] = told, trust.estimate(first, later)
        if judged[1].lift >= profile.learning.least_lift or _seed(request, profile) < STILL_TESTED * 2**64:
            return ""
        share = sum(entry.signalled for entry in first) / replies
        return (
            f"{outcome} has told nothing here so far: it came after {share:.0%} of {replies:.0f} replies, "
            "whichever model gave them"
        )

    def _beliefs(self, request: Request, profile: Profile, standings: Standings) -> Beliefs | None:
        rules = profile.learning
        pool = self._kept(rules.memory).pool(request.tenant, request.purpose, request.edit_format)
        if pool is None or not pool.first:
            return None
        key = (rules.memory, rules.prior_weight, request.tenant, request.purpose, request.edit_format)
        ready = self._ready.get(key)
        if ready is None or not ready.holds_for(pool, standings):
            priors = _priors(pool.first, standings.of(request.purpose))
            ready = _Ready(pool, pool.version, standings, beliefs.form(pool, priors, rules.prior_weight, rules.memory))
            self._ready[key] = ready
        return ready.beliefs

    def _kept(self, memory: float) -> Evidence:
        """The evidence with this length of memory; the first time, from all verdicts that are remembered."""
        evidence = self._evidence.get(memory)
        if evidence is None:
            if len(self._evidence) >= MOST_MEMORIES:
                # Configurations come and go; the oldest length of memory is hardly asked for any more.
                self._drop(next(iter(self._evidence)))
            evidence = self._evidence[memory] = Evidence(memory)
            for seen in self._seen.values():
                seen.entries[memory] = evidence.add(seen.verdict, None)
        return evidence

    def _drop(self, memory: float) -> None:
        del self._evidence[memory]
        for seen in self._seen.values():
            seen.entries.pop(memory, None)


def _signals(
    pools: Sequence[Mapping[str, Counts]], outcome: Outcome, standings: Mapping[str, Standing]
) -> list[trust.Signals]:
    """By model: the replies that came as far as this signal's check, and those after which the signal came."""
    sums: dict[str, list[float]] = {}
    for pool in pools:
        for name, counts in pool.items():
            entry = sums.setdefault(name, [0.0, 0.0])
            weights = counts.total()
            entry[0] += succeeded(weights) + weights.get(outcome, 0.0)
            entry[1] += weights.get(outcome, 0.0)
    priors = _priors(sums, standings)
    return [trust.Signals(priors[name], *sums[name]) for name in priors]


def _priors(names: Iterable[str], standings: Mapping[str, Standing]) -> dict[str, float]:
    return {name: standings[name].quality for name in names if name in standings}


def _seed(request: Request, profile: Profile) -> int:
    """What a draw depends on beside the model: the conversation, and the profile."""
    texts = request.conversation_id
    if not texts:
        texts = "\0".join(message.text[:SEED_CHARACTERS] for message in request.messages[-SEED_MESSAGES:])
    return beliefs.number_of(f"{profile.name}\0{texts}")
