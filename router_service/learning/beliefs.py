"""What is believed of the models' qualities after their outcomes: Beta arithmetic around the priors; pure.

A prior is a benchmark's rate and an outcome that of somebody's own work: two scales. One offset on the logit scale, the same
for all models of a pool, leads from the one to the other; it follows the pool slowly and a model's own outcomes quickly. So
a model gains or loses by how it fares against the others, or against its own past, and not by how hard the work is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from router_service.domain import Word
from router_service.learning.evidence import Counts, Pool, failed, succeeded

# A benchmark's 0% and 100% are not certainties.
LOWEST, HIGHEST = 0.02, 0.98
# Newton's steps towards the offset, and the furthest it may go; it is found in four or five.
STEPS, FURTHEST = 12, 4.0
FARTHEST = 500.0
_deviate = NormalDist().inv_cdf
# Models whose numbers are remembered.
MOST_MARKS = 4_096


class Belief(Word, frozen=True):
    """One model's quality on the prior's scale: the mean, as a logit too, with its deviation.

    `outcomes`: how many replies speak about it; `mark`: the model's own number for its draws.
    """

    quality: float
    logit: float
    deviation: float
    outcomes: float
    mark: int


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of a pool's models; `offset` leads from a prior to the rate of success, `outcomes` of all of them."""

    offset: float
    outcomes: float
    prior_weight: float
    models: dict[str, Belief]

    def add(self, model: str, prior: float) -> Belief:
        """The belief about a model that no outcome speaks about: its prior. It is kept ready for the next decision."""
        belief = self.models[model] = believe(model, prior, None, self.offset, self.prior_weight)
        return belief


def form(pool: Pool, priors: Mapping[str, float], prior_weight: float, memory: float) -> Beliefs:
    """The beliefs about a pool's models; one that has no prior is left out."""
    known = {model: counts for model, counts in pool.first.items() if model in priors}
    offset = find_offset([(priors[model], counts) for model, counts in known.items()], prior_weight)
    models = {
        model: believe(model, priors[model], counts, offset, prior_weight, pool.kept(counts, memory))
        for model, counts in known.items()
    }
    return Beliefs(offset, sum(belief.outcomes for belief in models.values()), prior_weight, models)


def find_offset(known: list[tuple[float, Counts]], prior_weight: float) -> float:
    """The offset at which the expected successes are the observed ones; 0 with weight `prior_weight`."""
    long_runs = ((logit(prior), counts.long_run()) for prior, counts in known)
    rows = [(place, succeeded(weights), failed(weights)) for place, weights in long_runs]
    total = sum(good + bad for _, good, bad in rows)
    if not total:
        return 0.0
    # The pseudo-outcomes that hold the offset at 0 are those of an average model of the pool.
    centre = sum(place * (good + bad) for place, good, bad in rows) / total
    rows.append((centre, prior_weight * sigmoid(centre), prior_weight * (1 - sigmoid(centre))))
    offset = 0.0
    for _ in range(STEPS):
        slope = error = 0.0
        for place, good, bad in rows:
            rate = sigmoid(place + offset)
            error += good - (good + bad) * rate
            slope += (good + bad) * rate * (1 - rate)
        step = error / slope
        offset = min(FURTHEST, max(-FURTHEST, offset + max(-1.0, min(1.0, step))))
        if abs(step) < 1e-6:  # noqa: PLR2004 - far below what a quality is shown with
            break
    return offset


def believe(
    model: str, prior: float, counts: Counts | None, offset: float, prior_weight: float, kept: float = 1.0
) -> Belief:
    """A model's belief: a Beta distribution around where its prior is expected, told on the prior's scale.

    `kept`: the weight that its outcomes still have.
    """
    good, bad = (kept * succeeded(counts.recent), kept * failed(counts.recent)) if counts else (0.0, 0.0)
    expected = sigmoid(logit(prior) + offset)
    weight = prior_weight + good + bad
    mean = (prior_weight * expected + good) / weight
    place = logit(mean) - offset
    quality = sigmoid(place) if good + bad else prior
    return Belief(quality, place, 1 / math.sqrt(weight * mean * (1 - mean)), good + bad, _mark(model))


def draw(belief: Belief, seed: int, scale: float) -> float:
    """A quality drawn from a belief, `scale` times as far from its mean as chance has it; the same for the same seed."""
    if not scale:
        return belief.quality
    # SplitMix64: a decision draws for every candidate, and a hash for each would be most of its time.
    mixed = ((seed ^ belief.mark) + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    # The upper 52 bits, so that the share is neither 0 nor 1.
    share = (((mixed ^ (mixed >> 31)) >> 12) + 0.5) / 2**52
    return sigmoid(belief.logit + scale * belief.deviation * _deviate(share))


def number_of(text: str) -> int:
    """A number of 64 bits that stands for a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


_mark = lru_cache(MOST_MARKS)(number_of)


def sigmoid(place: float) -> float:
    """The share that a logit stands for."""
    # Beyond this the share is 0 or 1 to every digit, and the exponential too large to be told.
    if not -FARTHEST <= place <= FARTHEST:
        place = math.copysign(FARTHEST, place)
    return 1 / (1 + math.exp(-place))


def logit(share: float) -> float:
    """The logit of a share, kept away from 0 and 1."""
    if not LOWEST <= share <= HIGHEST:
        share = min(HIGHEST, max(LOWEST, share))
    return math.log(share / (1 - share))
