"""Between learning and decisions: the verdict that a report passes, and what a decision's trace tells of learning; pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from router_service.domain import FAILURES, Decision, LearningTrace, Ranked
from router_service.local_policy import Learnt
from router_service.policy import Policy
from router_service.records import Report, Verdict


def verdict_of(decision: Decision, report: Report, now: float) -> Verdict:
    """The verdict that a report passes on its decision's reply."""
    request = decision.request
    return Verdict(
        decision_id=decision.id,
        reported=now,
        tenant=request.tenant,
        purpose=request.purpose,
        edit_format=request.edit_format,
        model=report.served_model or decision.model,
        outcome=report.outcome,
        first=request.previous_reply.outcome not in FAILURES,
    )


def trace_of(
    ranking: Sequence[Ranked], below: Collection[str], learnt: Mapping[str, Learnt], applied: Policy, distrust: str
) -> LearningTrace | None:
    """What is told of learning; None when the profile does not learn.

    `ranking` is the local one, which rests on what is learnt when the mode is `on`; who is `below` the floor never leads.
    """
    mode, weight = applied.profile.learning.mode, 1 - applied.tradeoff / 10
    if mode == "off" or ranking[0].score is None:
        return None

    # The first of equal scores is the better ranked.
    would, most = "", -math.inf
    for entry in ranking:
        # By what the ranking does not rest on: the priors when it is learnt, the learnt when it is not.
        score, estimate = entry.score or 0.0, learnt.get(entry.model)
        if estimate is not None:
            if mode == "on":
                score -= weight * (estimate.drawn - (entry.prior_quality or 0.0))
            else:
                score += weight * (estimate.drawn - (entry.quality or 0.0))
        if score > most and entry.model not in below:
            would, most = entry.model, score
    leads = ranking[0].model
    model, prior_model = (leads, would) if mode == "on" else (would, leads)
    return LearningTrace(mode, model, prior_model, sum(entry.outcomes for entry in learnt.values()), distrust)
