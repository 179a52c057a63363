"""Learning on and off over streams of CodeRouterBench's tasks (2,919 tasks of 9 types, 8 models, MIT), drawn at random.

Utility is the share solved minus a stated price of money. Priors are made imperfect, as a benchmark of other tasks is. Prints
tables and writes bench/results/learning.json and learning.svg; without the data, a made-up environment takes its place and
nothing is written. `--tune` compares settings of learning instead.
"""

import argparse
import json
import os
import random
import statistics
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path

from bench.learning.stream import NOISE, STEPS, Setting, agreement, one
from bench.learning.world import DATA, World, make_up, read

RESULTS = Path(__file__).parent.parent / "results"
SEEDS, TUNING_SEEDS, RESAMPLES = 20, 8, 2000
# The profile's cost_quality_tradeoff, and what a dollar is worth in solved tasks when its choices are judged.
WEIGHINGS = {"quality": (0, 0.0), "cost too": (3, 5.0)}
SCENARIOS = ("clean", "noise", "overnight", "new good", "new bad")
# How choices are weighed, how good the priors are, whether the router sees the type of a task, and what happens.
CASES = (
    ("quality", "good", False, SCENARIOS),
    ("quality", "poor", False, SCENARIOS),
    ("quality", "good", True, SCENARIOS),
    ("cost too", "good", True, SCENARIOS),
)


def interval(values: list[float]) -> tuple[float, float, float]:
    """The mean, and its 95% interval by bootstrap over the seeds."""
    draw = random.Random(1)  # noqa: S311 - a simulation
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return statistics.fmean(values), means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]


def study(world: World, policies: dict[str, dict], seeds: int, pool: ProcessPoolExecutor) -> list[dict]:
    rows = []
    for weighing, priors, seen, scenarios in CASES:
        tradeoff, price = WEIGHINGS[weighing]
        for scenario in scenarios:
            settings = [Setting(scenario, priors, seen, tradeoff, price, seed) for seed in range(seeds)]
            found = list(pool.map(one, [(world, setting, policies) for setting in settings]))
            means = {name: [statistics.fmean(run[name]) for run in found] for name in found[0]}
            row = {"weighing": weighing, "priors": priors, "types_seen": seen, "scenario": scenario, "price": price}
            row["utility"] = {name: round(statistics.fmean(values), 4) for name, values in means.items()}
            row["gain"] = {name: gain(means[name], means["off"]) for name in policies if name != "off"}
            row["curves"] = {name: curve(found, name) for name in found[0]}
            rows.append(row)
            show(row)
    return rows


def gain(own: list[float], other: list[float]) -> list[float]:
    """By how many points the one is better, seed by seed, with its 95% interval."""
    return [round(100 * value, 2) for value in interval([a - b for a, b in zip(own, other, strict=True)])]


def curve(found: list[dict[str, list[float]]], name: str) -> list[float]:
    """Regret against the best fixed model, added up, at every 50th step; mean over the seeds."""
    regrets = [
        list(accumulate(best - own for best, own in zip(run["best fixed"], run[name], strict=True))) for run in found
    ]
    return [round(statistics.fmean(regret[step] for regret in regrets), 2) for step in range(0, STEPS, 50)]


def show(row: dict) -> None:
    utilities = "  ".join(f"{name} {value:.3f}" for name, value in row["utility"].items())
    gains = "  ".join(
        f"{name} {mean:+.1f} [{low:+.1f}, {high:+.1f}]" for name, (mean, low, high) in row["gain"].items()
    )
    seen = "types seen  " if row["types_seen"] else "types hidden"
    print(
        f"{row['weighing']:<9}{row['priors']} priors  {seen} {row['scenario']:<10} {utilities} | on - off: {gains}",
        flush=True,
    )


def draw(rows: list[dict]) -> None:
    import matplotlib  # noqa: PLC0415 - tuning draws nothing

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    matplotlib.rcParams["svg.hashsalt"] = "learning"
    chosen = [row for row in rows if row["weighing"] == "quality" and row["types_seen"]]
    figure, axes = pyplot.subplots(1, len(chosen), figsize=(3.2 * len(chosen), 3.6), sharey=True)
    colours = {"off": "#888", "on": "#06c", "random": "#d80", "best per type": "#3a3"}
    for axis, row in zip(axes, chosen, strict=True):
        for name, colour in colours.items():
            axis.plot(range(0, STEPS, 50), row["curves"][name], color=colour, label=name)
        axis.axhline(0, color="#000", linewidth=0.5)
        axis.set_title(row["scenario"])
        axis.set_xlabel("tasks")
    axes[0].set_ylabel("regret against the best fixed model, tasks")
    axes[0].legend(loc="upper left", fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "learning.svg", metadata={"Date": None})


def main() -> None:
    """Run, print, write and draw; with --tune, compare settings of learning and write nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true")
    tune = parser.parse_args().tune
    seeds = TUNING_SEEDS if tune else SEEDS
    world = read() if DATA.is_file() else make_up()
    print(f"{len(world.tasks)} tasks, {len(world.names)} models, {seeds} seeds, {STEPS} tasks each"
          + ("" if DATA.is_file() else f"; MADE UP, for want of {DATA.name}"))  # fmt: skip
    for name, noise in NOISE.items():
        print(f"{name} priors agree with the truth by rank correlation {agreement(world, noise, seeds):.2f}")
    policies: dict[str, dict] = {"off": {"mode": "off"}, "on": {"mode": "on"}}
    if tune:
        policies |= {
            f"{name}={value}": {"mode": "on", name: value}
            for name, values in {
                "prior_weight": (15, 60),
                "memory": (100, 400),
                "exploration": (0, 0.1, 0.6, 1),
            }.items()
            for value in values
        }
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = study(world, policies, seeds, pool)
    if tune or not DATA.is_file():
        return
    (RESULTS / "learning.json").write_text(json.dumps({"seeds": SEEDS, "tasks": STEPS, "rows": rows}, indent=1) + "\n")
    draw(rows)


if __name__ == "__main__":
    main()
