"""How much a failure signal tells: a posterior over its true and false positive rates, from how often models get it; pure.

If the signal tells, weak models get it more often than strong ones, and a strong model that takes over gets it less often;
if it is a coin (flaky tests), everybody gets it alike. How hard the work is, and in how many sessions the check runs at all,
is not known either, so both are averaged over: a high or low level by itself is weak evidence, the contrast is strong. And
the priors may be wrong about which model is the stronger, so rates that differ at all speak against a coin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from router_service.learning.beliefs import logit, sigmoid

# P(signal | wrong) and P(signal | right) of a signal that tells, with their prior weights: centred on .7 and .1.
TRUE_POSITIVE = {0.35: 0.08, 0.5: 0.25, 0.7: 0.37, 0.9: 0.3}
FALSE_POSITIVE = {0.03: 0.25, 0.1: 0.45, 0.17: 0.2, 0.28: 0.1}
# How much easier than the benchmark the work is, as a logit, and how much of the models' differences shows in it.
EASE = {-1.8: 0.06, -1.2: 0.1, -0.8: 0.15, -0.4: 0.24, 0.0: 0.25, 0.6: 0.2}
SPREAD = {1.0: 0.6, 0.5: 0.4}
# The share of the sessions in which the check runs; once it has run in one, it runs on.
CHECKED = {1.0: 0.6, 0.4: 0.25, 0.08: 0.15}
# The rates a coin may have, and the prior probability that a signal is one.
COIN = tuple(step / 20 for step in range(1, 20))
PRIOR_COIN = 0.3
# The prior probability that a signal tells though the models differ in other ways than their priors say: the rates are any,
# as long as they differ, and its lift is that of a signal of .7 and .1 half of whose replies are wrong.
PRIOR_ANY, LIFT_ANY = 0.2, 0.75
# P(wrong again | wrong before) lies between that of unrelated models and that of models that fail alike.
NESTED = 0.5


@dataclass(frozen=True, slots=True)
class Signals:
    """How many replies of models with this prior quality there were, and after how many the signal came."""

    quality: float
    replies: float
    signalled: float


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed of a signal: the probability that it is a coin, and by how much it raises that of a wrong reply.

    `lift` is E[P(wrong | signal)] - P(wrong), as a share of the most it could be.
    """

    coin: float
    lift: float


def estimate(first: Sequence[Signals], later: Sequence[Signals]) -> Trust:
    """The trust in a signal; `first`: replies to a request, `later`: replies that had a signalled failure to mend."""
    first, later = _merge(first), _merge(later)
    signalled = sum(entry.signalled for entry in first)
    before = sum(entry.quality * entry.signalled for entry in first) / signalled if signalled else 0.5
    replies = sum(entry.replies for entry in first)
    usual = sum(entry.quality * entry.replies for entry in first) / replies if replies else 0.5
    told = [(weight, likelihood, lift) for weight, likelihood, lift in _telling(first, later, before, usual)]
    coins = [
        (
            PRIOR_COIN / len(COIN) * share_weight,
            _fit(later, [rate] * len(later)) + _fit(first, [rate * share] * len(first)),
        )
        for rate, (share, share_weight) in product(COIN, CHECKED.items())
    ]
    told.append((PRIOR_ANY, _any_fit(first) + _any_fit(later), LIFT_ANY))
    top = max(*(entry[1] for entry in told), *(entry[1] for entry in coins))
    coin = sum(weight * math.exp(likelihood - top) for weight, likelihood in coins)
    weights = [weight * math.exp(likelihood - top) for weight, likelihood, _ in told]
    total = coin + sum(weights)
    return Trust(coin / total, sum(weight * entry[2] for weight, entry in zip(weights, told, strict=True)) / total)


def _telling(
    first: Sequence[Signals], later: Sequence[Signals], before: float, usual: float
) -> Iterator[tuple[float, float, float]]:
    """Prior weight, log-likelihood and lift of each way in which a signal may tell."""
    centre = logit(usual)
    for (ease, ease_weight), (spread, spread_weight) in product(EASE.items(), SPREAD.items()):

        def wrongness(quality: float, spread: float = spread, ease: float = ease) -> float:
            return 1 - sigmoid(centre + spread * (logit(quality) - centre) + ease)

        wrong = [wrongness(entry.quality) for entry in first]
        wrong_later = [wrongness(entry.quality) for entry in later]
        wrong_before, right = wrongness(before), 1 - wrongness(usual)
        for (hit, hit_weight), (false, false_weight) in product(TRUE_POSITIVE.items(), FALSE_POSITIVE.items()):
            if false >= hit:
                continue
            rates = [hit * share + false * (1 - share) for share in wrong]
            again = _fit(later, [_again(hit, false, wrong_before, share) for share in wrong_later])
            weight = ease_weight * spread_weight * hit_weight * false_weight * (1 - PRIOR_COIN - PRIOR_ANY)
            lift = 1 - false / (hit * (1 - right) + false * right)
            for checked, checked_weight in CHECKED.items():
                yield weight * checked_weight, again + _fit(first, [checked * rate for rate in rates]), lift


def _again(hit: float, false: float, wrong_before: float, wrong: float) -> float:
    """P(signal) of a reply that follows a signalled one."""
    was_wrong = hit * wrong_before / (hit * wrong_before + false * (1 - wrong_before))
    nested_after_wrong = min(1.0, wrong / wrong_before)
    nested_after_right = max(0.0, wrong - wrong_before) / (1 - wrong_before)
    is_wrong = (1 - NESTED) * wrong + NESTED * (was_wrong * nested_after_wrong + (1 - was_wrong) * nested_after_right)
    return hit * is_wrong + false * (1 - is_wrong)


def _fit(entries: Sequence[Signals], rates: Sequence[float]) -> float:
    return sum(
        entry.signalled * math.log(rate) + (entry.replies - entry.signalled) * math.log(1 - rate)
        for entry, rate in zip(entries, rates, strict=True)
    )


def _any_fit(entries: Sequence[Signals]) -> float:
    """The likelihood of rates of which nothing is known, each from 0 to 1: the logarithm of a Beta function each."""
    return sum(
        math.lgamma(entry.signalled + 1)
        + math.lgamma(entry.replies - entry.signalled + 1)
        - math.lgamma(entry.replies + 2)
        for entry in entries
    )


def _merge(entries: Sequence[Signals]) -> list[Signals]:
    """Models of about equal quality taken together: few bins keep the estimate cheap."""
    bins: dict[int, list[Signals]] = {}
    for entry in entries:
        if entry.replies > 0:
            bins.setdefault(round(entry.quality * 10), []).append(entry)
    merged = []
    for members in bins.values():
        replies = sum(entry.replies for entry in members)
        quality = sum(entry.quality * entry.replies for entry in members) / replies
        merged.append(Signals(quality, replies, min(replies, sum(entry.signalled for entry in members))))
    return merged
