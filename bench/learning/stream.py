"""One stream of tasks: the router chooses, sees whether its model solved the task, and chooses for the next."""

import asyncio
import math
import random
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench.learning.world import World, logit
from router_service.catalog import Catalog, parse
from router_service.domain import Message, Outcome, Purpose, Request, Requirements
from router_service.ledger import MemoryLedger
from router_service.pins import Pins
from router_service.records import Report
from router_service.reporting import Reporting
from router_service.selection import Selection
from router_service.stores.memory import MemoryStore
from router_service.watch import Watchers

STEPS = 1200
TOKENS = 1000
# A benchmark's rates: easier tasks, larger differences, and noise ("good" or "poor" priors), all as logits.
EASIER, WIDER = 1.0, 2.5
NOISE = {"good": 0.25, "poor": 0.6}
# The share of the verdicts that a noisy check turns round, and of a model's solutions that is left when it turns bad.
TURNED_ROUND, LEFT = 0.2, 0.3


@dataclass(frozen=True)
class Setting:
    """One stream; `seen`: whether the type of a task is visible to the router, as an edit format is."""

    scenario: str
    priors: str
    seen: bool
    tradeoff: int
    price: float
    seed: int


def catalog_of(world: World, setting: "Setting", rules: dict, assumed: str) -> Catalog:
    """The world's models at their mean cost, with noisy priors; `assumed`: the one that has none of its own."""
    draw = random.Random(setting.seed)  # noqa: S311 - a simulation
    priors = priors_of(world, draw, NOISE[setting.priors])
    known = [name for name in world.names if name != assumed]
    common = {"context_tokens": 10**6, "max_output_tokens": 10**5, "source": "bench", "checked": "2026-11-23"}
    models = [
        {
            "id": f"bench/{name}",
            "input_usd_per_mtok": world.costs[name] / TOKENS * 10**6,
            "output_usd_per_mtok": 0,
            **({"prior": name, "prior_kind": "measured"} if name != assumed else {}),
            **common,
        }
        for name in world.names
    ]
    rate = {"date": "", "edit_format": "", "well_formed": 100}
    return parse(
        {
            "schema": 1,
            "models": models,
            "priors": [{"name": n, "pass_rate_1": priors[n], "pass_rate_2": priors[n], **rate} for n in known],
            "profiles": {
                "p": {"candidates": ["bench/*"], "cost_quality_tradeoff": setting.tradeoff, "learning": rules},
            },
            "expected_output_tokens": {},
        }
    )


def priors_of(world: World, draw: random.Random, noise: float) -> dict[str, float]:
    """What a benchmark might say of each model, per cent."""
    centre = statistics.fmean(logit(world.rates[name]) for name in world.names)
    places = {name: EASIER + WIDER * (logit(world.rates[name]) - centre) for name in world.names}
    return {name: 100 / (1 + math.exp(-place - draw.gauss(0, noise))) for name, place in places.items()}


def agreement(world: World, noise: float, seeds: Iterable[int]) -> float:
    """The mean rank correlation (Spearman) of the priors with how often the models solve these tasks."""
    found = []
    for seed in seeds:
        priors = priors_of(world, random.Random(seed), noise)  # noqa: S311 - a simulation
        first, second = sorted(world.names, key=world.rates.__getitem__), sorted(world.names, key=priors.__getitem__)
        found.append(
            statistics.correlation([first.index(n) for n in world.names], [second.index(n) for n in world.names])
        )
    return statistics.fmean(found)


def worsened(setting: Setting, name: str, step: int, bad: str) -> float:
    """The factor by which a model's chance to solve is lowered at this step: below 1 for the one that turns bad."""
    turned = setting.scenario == "overnight" and name == bad and step >= STEPS // 2
    return LEFT if turned or (setting.scenario == "new bad" and name == bad) else 1.0


async def run(world: World, setting: Setting, policies: dict[str, dict]) -> dict[str, list[float]]:
    """The utility of each step, by policy; all policies see the same tasks, priors and luck."""
    assumed = ""
    ranked = sorted(world.names, key=lambda name: world.rates[name] - setting.price * world.costs[name])
    if setting.scenario.startswith("new"):
        assumed = ranked[-1] if setting.scenario == "new good" else ranked[len(ranked) // 2]

    def catalog(rules: dict) -> Catalog:
        return catalog_of(world, setting, rules, assumed)

    draw = random.Random(setting.seed + 10_000)  # noqa: S311 - a simulation
    stream = [draw.choice(world.tasks) for _ in range(STEPS)]
    luck = [(draw.random(), draw.random(), draw.choice(world.names)) for _ in range(STEPS)]
    off = build(catalog({"mode": "off"}))
    leader = (await off[0].select(request(setting, 0, ""), 5.0)).model.removeprefix("bench/")
    bad = assumed or leader

    def worth(name: str, step: int) -> tuple[bool, float]:
        good, cost = stream[step][1][name]
        good = good and luck[step][0] < worsened(setting, name, step, bad)
        return good, good - setting.price * cost

    results = {}
    for policy, rules in policies.items():
        selection, ledger, reporting = build(catalog(rules))
        utilities = []
        for step in range(STEPS):
            decision = await selection.select(request(setting, step, stream[step][0]), 5.0)
            ledger.record(decision)
            good, utility = worth(decision.model.removeprefix("bench/"), step)
            utilities.append(utility)
            said = good if setting.scenario != "noise" or luck[step][1] >= TURNED_ROUND else not good
            outcome = Outcome.APPLIED if said else Outcome.COMMAND_FAILED
            await reporting.take_in(Report(decision.id, decision.model, outcome))
        results[policy] = utilities
    fixed = {name: [worth(name, step)[1] for step in range(STEPS)] for name in world.names}
    results["random"] = [fixed[luck[step][2]][step] for step in range(STEPS)]
    results["best fixed"] = max(fixed.values(), key=sum)
    results["oracle"] = [max(row[step] for row in fixed.values()) for step in range(STEPS)]
    best = {}
    for kind in world.types:
        steps = [step for step in range(STEPS) if stream[step][0] == kind]
        best[kind] = max(fixed.values(), key=lambda row: sum(row[step] for step in steps))
    results["best per type"] = [best[stream[step][0]][step] for step in range(STEPS)]
    return results


def build(catalog: Catalog) -> tuple[Selection, MemoryLedger, Reporting]:
    ledger = MemoryLedger(10_000)
    selection = Selection(catalog, None, Pins(MemoryStore(100)), 0.0, time.time)
    return selection, ledger, Reporting(selection, ledger, Watchers())


def request(setting: Setting, step: int, kind: str) -> Request:
    return Request(
        messages=(Message("user", f"{setting.seed} {step}"),),
        profile="p",
        purpose=Purpose.CODE,
        edit_format=kind if setting.seen else "diff",
        requirements=Requirements(input_tokens=TOKENS),
    )


def one(arguments: tuple[World, Setting, dict[str, dict]]) -> dict[str, list[float]]:
    return asyncio.run(run(*arguments))
