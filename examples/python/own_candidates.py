"""Chooses among models of one's own, and tells how the reply fared: `python -m examples.python.own_candidates [HOST:PORT]`.

No profile is needed: the caller names the candidates, what the reply needs and how much cost counts.
"""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import sys

from examples.python.select_model import connect, explain
from router_client import Outcome, Purpose, Question, Report, Requirements, RouterError

QUESTION = Question(
    candidates=("demo/small", "demo/medium", "demo/large"),
    purpose=Purpose.SUMMARY,
    requirements=Requirements(input_tokens=3000, output_tokens=400),
    # Those that the caller can reach; scripted models serve only who names theirs.
    available_providers=("demo",),
    cost_quality_tradeoff=8,
)


def main(target: str = "127.0.0.1:50051") -> int:
    """Print the ranking, then report the outcome; 1 when there is no decision."""
    with connect(target) as router:
        try:
            decision = router.select(QUESTION, timeout=2)
            for entry in decision.ranking:
                print(f"{entry.model}: ${entry.expected_cost_usd:.4f}, quality {entry.quality:.2f}")
            # … here the model is asked. What it used gives the cost, and corrects what replies are expected to be like.
            told = Report(
                decision_id=decision.decision_id,
                served_model=decision.model,
                outcome=Outcome.COMPLETED,
                input_tokens=2950,
                output_tokens=310,
            )
            kept = router.report(told)
        except RouterError as error:
            print(explain(error), file=sys.stderr)
            return 1
    print(f"kept: it cost ${kept.cost_usd:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
