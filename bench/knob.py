"""Turns the cost_quality_tradeoff from 0 to 10 on the shipped catalogue, and plots what it chooses.

Writes bench/results/knob.json and bench/results/knob.svg. Quality is the prior, cost the expected one: this shows that the
knob is monotone, not how good the choice is.
"""

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from tests.processes import free_port, start_router
from tests.router_service.calls import select

RESULTS = Path(__file__).parent / "results"
QUESTION = {"profile": "auto", "purpose": "PURPOSE_CODE", "requirements": {"inputTokens": 8000}}


def main() -> None:
    """Ask, check, print, write and draw."""
    port = free_port()
    router = start_router(port)
    try:
        answers = [select(port, costQualityTradeoff=tradeoff, **QUESTION) for tradeoff in range(11)]
    finally:
        router.stop()
    rows = [
        {
            "tradeoff": tradeoff,
            "model": answer.model,
            "quality": answer.ranking[0].quality,
            "cost_usd": answer.ranking[0].expected_cost_usd,
        }
        for tradeoff, answer in enumerate(answers)
    ]
    for row in rows:
        print(f"{row['tradeoff']:>2}  {row['model']:<32} quality {row['quality']:.3f}  ${row['cost_usd']:.5f}")
    costs, qualities = [row["cost_usd"] for row in rows], [row["quality"] for row in rows]
    monotone = costs == sorted(costs, reverse=True) and qualities == sorted(qualities, reverse=True)
    print("monotone" if monotone else "NOT monotone")
    (RESULTS / "knob.json").write_text(
        json.dumps({"question": QUESTION, "monotone": monotone, "rows": rows}, indent=1) + "\n"
    )
    draw(rows, answers[0])


def draw(rows: list[dict], answer: object) -> None:
    """All candidates in the plane of cost and quality, and the way of the knob through them."""
    matplotlib.rcParams["svg.hashsalt"] = "knob"
    figure, axes = pyplot.subplots(figsize=(8, 5))
    ranking = answer.ranking
    axes.scatter(
        [entry.expected_cost_usd for entry in ranking],
        [entry.quality for entry in ranking],
        color="#bbb",
        label="candidates",
    )
    axes.plot(
        [row["cost_usd"] for row in rows], [row["quality"] for row in rows], "o-", color="#06c", label="chosen, 0 to 10"
    )
    first: dict[str, dict] = {}
    for row in rows:
        first.setdefault(row["model"], row)
    for row in first.values():
        label = f"{row['tradeoff']}: {row['model']}"
        axes.annotate(label, (row["cost_usd"], row["quality"]), xytext=(6, -12), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("expected cost of a code request with 8,000 input tokens, US dollars")
    axes.set_ylabel("prior quality")
    axes.set_title("cost_quality_tradeoff on the shipped catalogue, profile auto")
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(RESULTS / "knob.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
