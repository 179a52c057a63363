"""Learning on and off over streams of CodeRouterBench's tasks (9 types, 8 models, MIT), drawn at random.

Utility is the share solved minus a stated price of money; regret is what a choice in hindsight would have had more of it:
the one best model, the best model for each type, or the best answer to each task. Priors are made imperfect, as a benchmark
of other tasks is. Prints tables, says where learning does not help, and writes bench/results/learning.json and learning.svg;
without the data, a made-up environment takes its place and nothing is written. `--tune` compares settings of learning
instead, on seeds that no reported figure comes from.
"""

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy

from bench.learning.stream import NOISE, STEPS, Setting, agreement, one
from bench.learning.world import DATA, World, make_up, read

RESULTS = Path(__file__).parent.parent / "results"
SEEDS, TUNING_SEEDS, RESAMPLES = range(100, 120), range(8), 2000
# A point of a curve every so many tasks.
EVERY = 50
# The profile's cost_quality_tradeoff, and what a dollar is worth in solved tasks when its choices are judged.
WEIGHINGS = {"quality": (0, 0.0), "cost too": (3, 5.0)}
SCENARIOS = ("clean", "noise", "overnight", "new good", "new bad")
# How choices are weighed, how good the priors are, and whether the router sees the type of a task. It seldom does: Aider
# tells a purpose and an edit format, no type. So the hidden ones are the realistic cases.
CASES = (
    ("quality", "good", False),
    ("quality", "poor", False),
    ("quality", "good", True),
    ("cost too", "good", True),
)
# What regret is measured against.
BARS = ("best fixed", "best per type", "oracle")

Interval = tuple[float, float, float]


def interval(values: Sequence[float]) -> Interval:
    """The mean, and its 95% interval by bootstrap over the seeds."""
    sample = numpy.array(values)
    chosen = numpy.random.default_rng(1).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = numpy.quantile(sample[chosen].mean(axis=1), [0.025, 0.975])
    return float(sample.mean()), float(low), float(high)


def study(world: World, policies: dict[str, dict], seeds: Sequence[int], pool: ProcessPoolExecutor) -> list[dict]:
    """A row for each case and scenario."""
    rows = []
    for weighing, priors, seen in CASES:
        tradeoff, price = WEIGHINGS[weighing]
        for scenario in SCENARIOS:
            settings = [Setting(scenario, priors, seen, tradeoff, price, seed) for seed in seeds]
            found = list(pool.map(one, [(world, setting, policies) for setting in settings]))
            row = {"weighing": weighing, "priors": priors, "types_seen": seen, "scenario": scenario, "price": price}
            rows.append(row | summary(found, [name for name in policies if name != "off"]))
            show(rows[-1])
    return rows


def summary(found: list[dict[str, list[float]]], learners: list[str]) -> dict:
    """Utilities, gains and regrets of one case, in points (hundredths of a solved task a task), with their intervals."""
    means = {name: [float(numpy.mean(run[name])) for run in found] for name in found[0]}
    routers = ["off", *learners, "random"]
    return {
        "utility": {name: round(float(numpy.mean(values)), 4) for name, values in means.items()},
        "gain": {name: difference(means[name], means["off"]) for name in learners},
        "over_random": {name: difference(means[name], means["random"]) for name in ["off", *learners]},
        "regret": {name: {bar: difference(means[bar], means[name]) for bar in BARS} for name in routers},
        "curves": {name: curve(found, name) for name in [*routers, "best per type"]},
    }


def difference(own: Sequence[float], other: Sequence[float]) -> list[float]:
    """By how many points the one has more, seed by seed, with its 95% interval."""
    return [round(100 * value, 2) for value in interval([a - b for a, b in zip(own, other, strict=True)])]


def curve(found: list[dict[str, list[float]]], name: str) -> list[list[float]]:
    """Regret against the best fixed model, added up, at every 50th task: mean over the seeds, with its 95% interval."""
    regrets = numpy.array([numpy.cumsum(numpy.subtract(run["best fixed"], run[name])) for run in found])
    return [[round(value, 2) for value in interval(regrets[:, step])] for step in range(0, STEPS, EVERY)]


def title(row: dict) -> str:
    seen = "types seen" if row["types_seen"] else "types hidden"
    return f"{row['weighing']}, {row['priors']} priors, {seen}, {row['scenario']}"


def show(row: dict) -> None:
    """Print a case: utilities, gains, and what is still missing to each bar."""
    utilities = "  ".join(f"{name} {value:.3f}" for name, value in row["utility"].items())
    gains = "  ".join(f"{name} {signed(found)}" for name, found in row["gain"].items())
    print(f"{title(row)}\n    {utilities}\n    over off: {gains}")
    for name, regrets in row["regret"].items():
        print(
            f"    regret of {name:<7}" + "  ".join(f"against {bar} {signed(found)}" for bar, found in regrets.items())
        )
    print(end="", flush=True)


def signed(found: Sequence[float]) -> str:
    mean, low, high = found
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def findings(rows: list[dict]) -> list[str]:
    """Where learning does not help, and where what it is built on is no better than chance, in sentences."""
    lines = ["Where learning does not help (the interval of its gain is not above 0):"]
    helpless = [row for row in rows if row["gain"]["on"][1] <= 0]
    lines += [f"  {title(row)}: {signed(row['gain']['on'])}{harm(row['gain']['on'])}" for row in helpless] or [
        "  nowhere"
    ]
    lines.append("Where a router is no better than a model drawn at random (the interval is not above 0):")
    chance = [(row, name, found) for row in rows for name, found in row["over_random"].items() if found[1] <= 0]
    lines += [f"  {title(row)}, learning {name}: {signed(found)}{harm(found)}" for row, name, found in chance] or [
        "  nowhere"
    ]
    lines.append(
        "Where learning is still behind the one best model in hindsight (the interval of its regret is above 0):"
    )
    behind = [row for row in rows if row["regret"]["on"]["best fixed"][1] > 0]
    lines += [f"  {title(row)}: {signed(row['regret']['on']['best fixed'])}" for row in behind] or ["  nowhere"]
    return lines


def harm(found: Sequence[float]) -> str:
    return "   A LOSS" if found[2] < 0 else ""


def as_json(head: dict, rows: list[dict]) -> str:
    """One document, a case a line."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    return json.dumps(head)[:-1] + ', "rows": [\n' + lines + "\n]}\n"


def draw(rows: list[dict]) -> None:
    """A row of panels for each case, a panel for each scenario."""
    import matplotlib  # noqa: PLC0415 - tuning draws nothing

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    matplotlib.rcParams["svg.hashsalt"] = "learning"
    figure, panels = pyplot.subplots(len(CASES), len(SCENARIOS), figsize=(16, 3.1 * len(CASES)), sharey="row")
    colours = {"off": "#888", "on": "#06c", "random": "#d80", "best per type": "#3a3"}
    for row, axes in zip(rows, panels.flat, strict=True):
        for name, colour in colours.items():
            mean, low, high = zip(*row["curves"][name], strict=True)
            axes.plot(range(0, STEPS, EVERY), mean, color=colour, label=name)
            axes.fill_between(range(0, STEPS, EVERY), low, high, color=colour, alpha=0.2, linewidth=0)
        axes.axhline(0, color="#000", linewidth=0.5)
        axes.set_title(title(row).replace(", types", "\ntypes"), fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("tasks")
    for axes in panels[:, 0]:
        axes.set_ylabel("regret, tasks", fontsize=8)
    panels[0, 0].legend(loc="upper left", fontsize=8)
    figure.suptitle("Regret against the best fixed model in hindsight, added up; bands: 95% intervals over the seeds")
    figure.tight_layout()
    figure.savefig(RESULTS / "learning.svg", metadata={"Date": None})


def main() -> None:
    """Run, print, write and draw; with --tune, compare settings of learning and write nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true")
    tune = parser.parse_args().tune
    seeds = TUNING_SEEDS if tune else SEEDS
    world = read() if DATA.is_file() else make_up()
    print(f"{len(world.tasks)} tasks, {len(world.names)} models, seeds {seeds[0]} to {seeds[-1]}, {STEPS} tasks each"
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
    print("\n".join(findings(rows)))
    if tune or not DATA.is_file():
        return
    head = {"seeds": list(SEEDS), "tasks": STEPS, "of": len(world.tasks)}
    (RESULTS / "learning.json").write_text(as_json(head, rows))
    draw(rows)


if __name__ == "__main__":
    main()
