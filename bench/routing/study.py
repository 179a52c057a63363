"""Studies one pool: every verifier, learning off and on, the shuffled control; and, where tasks have types, a table by type."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.routing import baselines
from bench.routing.baselines import Point
from bench.routing.comparison import Bars, Comparison, Interval, Resamples, interval
from bench.routing.pools import Pool, prior_quality
from bench.routing.replay import Run, replay
from bench.routing.second_tries import alone, mean_table, second_tries
from bench.routing.tables import Table
from bench.routing.verifiers import VERIFIERS, Verifier, objections

Chooser = Callable[[Table, Sequence[str], float], list[str]]
MODES = ("off", "on")
# At these verifiers second tries are modelled as well.
SENSITIVITY = (VERIFIERS[1], VERIFIERS[-1])


@dataclass(frozen=True, slots=True)
class Row:
    """One replayed router: what it was told by, whether it learnt, and how it compares.

    `replies`: a task, on average. `stayed`: the share of objections to a first answer that moved nothing, in the first and
    in the last tenth of the tasks. `distrusted`: the share of orders in which the verifier came not to be believed, and
    `distrusted_after` how many tasks (the median). `learnt`: the gain over the mix with learning less that without.
    `aside`: what is no plain replay, for a control or a model of what is not recorded; empty otherwise.
    """

    verifier: str
    learning: str
    comparison: Comparison
    replies: float
    stayed: tuple[float, float]
    distrusted: float
    distrusted_after: float | None
    first: dict[str, float]
    learnt: Interval | None = None
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A model that answers everything: its quality, its cost, and what the policy takes it for beforehand."""

    model: str
    quality: float
    cost: float
    prior: float | None


@dataclass(frozen=True, slots=True)
class Study:
    """One pool's fixed models, its oracle, its routers, and the (cost, quality) that tables by task type reach."""

    pool: str
    note: str
    tasks: int
    orders: int
    models: tuple[Fixed, ...]
    cheap: str
    strong: str
    oracle_quality: float
    oracle_cost: float
    rows: tuple[Row, ...]
    types: tuple[Point, ...] = ()


def study(table: Table, pool: Pool, seeds: int) -> Study:
    """Replay the pool under every verifier, with as many orders and draws of the verifier as there are seeds."""
    resamples = Resamples(len(table.tasks), seeds)
    bars = Bars(table, pool, resamples)
    rows = []
    for verifier in VERIFIERS:
        off, on = (_replays(table, pool, verifier, mode, seeds) for mode in MODES)
        rows.append(_row(bars, resamples, off, verifier.name, "off"))
        difference = zip(bars.over_mix(resamples.runs(on)), bars.over_mix(resamples.runs(off)), strict=True)
        learnt = interval([with_it - without for with_it, without in difference])
        rows.append(replace(_row(bars, resamples, on, verifier.name, "on"), learnt=learnt))
    control = _replays(table, pool, VERIFIERS[0], "off", seeds, shuffled=True)
    rows.append(replace(_row(bars, resamples, control, VERIFIERS[0].name, "off"), aside="shuffled"))
    rows += [_modelled(table, pool, verifier, seeds, resamples) for verifier in SENSITIVITY]
    best = baselines.oracle(table, list(pool.priors))
    return Study(
        pool.name,
        pool.note,
        len(table.tasks),
        seeds,
        tuple(Fixed(m, table.quality(m), table.cost(m), prior_quality(p)) for m, p in pool.priors.items()),
        pool.cheap,
        pool.strong,
        sum(answer.score for answer in best) / len(best),
        sum(answer.cost for answer in best) / len(best),
        tuple(rows),
        tuple((float(cost), float(quality)) for cost, quality in bars.types),
    )


def _modelled(table: Table, pool: Pool, verifier: Verifier, seeds: int, resamples: Resamples) -> Row:
    """A row with modelled second tries, compared with models that have them too: else they would pass for the router's."""
    draws = [
        alone(table, objections(table, list(pool.priors), verifier, seed), second_tries(table, pool, verifier, seed))
        for seed in range(seeds)
    ]
    bars = Bars(mean_table(table, draws), pool, resamples)
    runs = _replays(table, pool, verifier, "off", seeds, modelled=True)
    return replace(_row(bars, resamples, runs, verifier.name, "off"), aside="2nd try")


def _replays(
    table: Table,
    pool: Pool,
    verifier: Verifier,
    mode: str,
    seeds: int,
    *,
    shuffled: bool = False,
    modelled: bool = False,
) -> list[Run]:
    async def all_of_them() -> list[Run]:
        runs = []
        for seed in range(seeds):
            verdicts = objections(table, list(pool.priors), verifier, seed, shuffled)
            again = second_tries(table, pool, verifier, seed) if modelled else None
            runs.append(await replay(table, pool, verdicts, seed, mode, again))
        return runs

    return asyncio.run(all_of_them())


def _row(bars: Bars, resamples: Resamples, runs: Sequence[Run], verifier: str, mode: str) -> Row:
    first = Counter(model for run in runs for model in run.first)
    distrusted = [run.distrusted_after for run in runs if run.distrusted_after is not None]
    return Row(
        verifier,
        mode,
        bars.compare(resamples.runs(runs)),
        replies=statistics.fmean(count for run in runs for count in run.replies),
        stayed=(statistics.fmean(run.stayed[0] for run in runs), statistics.fmean(run.stayed[-1] for run in runs)),
        distrusted=len(distrusted) / len(runs),
        distrusted_after=statistics.median(distrusted) if distrusted else None,
        first={model: count / first.total() for model, count in first.most_common()},
    )


@dataclass(frozen=True, slots=True)
class TaskTypes:
    """A table by task type against the zero router, over all that a dollar may be worth, and quality alone.

    `aiq`: gain in AIQ, points. `best_single`, `seen`, `unseen`: quality where cost doesn't count, of the best model alone,
    of the table on tasks it was not made from, and on types it was not made from; the gains are over the best model alone.
    """

    aiq: Interval
    aiq_unseen: Interval
    seen: Interval
    unseen: Interval
    best_single: float


def task_types(table: Table) -> TaskTypes:
    """Whether a table by task type, cross-validated, is worth having, and what it does with a type it has not seen."""
    models = list(table.answers)
    resamples = Resamples(len(table.tasks), 1)
    fixed = list(zip(*(resamples.points(table.answers[model]) for model in models), strict=True))
    best = max(models, key=table.quality)
    alone = [quality for _, quality in resamples.points(table.answers[best])]

    def gains(choose: Chooser) -> tuple[Interval, Interval]:
        curve = [resamples.points(baselines.picked(table, choose(table, models, worth))) for worth in baselines.WORTHS]
        rows = zip(fixed, zip(*curve, strict=True), strict=True)
        aiq = interval([100 * _gain_in_area(single, own) for single, own in rows])
        return aiq, interval([100 * (own - other) for (_, own), other in zip(curve[0], alone, strict=True)])

    (aiq, seen), (aiq_unseen, unseen) = gains(baselines.by_type), gains(baselines.unseen_type)
    return TaskTypes(aiq, aiq_unseen, seen, unseen, table.quality(best))


def _gain_in_area(fixed: Sequence[Point], own: Sequence[Point]) -> float:
    low, high = min(cost for cost, _ in fixed), max(cost for cost, _ in fixed)
    cheapest = min(fixed)
    return baselines.area(baselines.hull([cheapest, *own]), low, high) - baselines.area(
        baselines.hull(fixed), low, high
    )
