"""What the study of learning reports: which tasks count, what regret is measured against, and where it says that it fails."""

import gzip
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="numpy is installed by `make bench` alone")

from bench.learning.__main__ import SEEDS, TUNING_SEEDS, findings, interval, summary
from bench.learning.stream import STEPS, Setting, one
from bench.learning.world import make_up, read


def test_a_task_that_a_model_answered_without_a_token_record_is_left_out_for_all(tmp_path: Path):
    file = tmp_path / "tasks.csv.gz"
    with gzip.open(file, "wt") as text:
        text.write("task_id,dimension,model,score,cost_usd,cost_source\n")
        for task, source in (("one", "token_log_pricing"), ("two", "missing_token_record_zero_total")):
            text.write(f"{task},kind,a,1,0.5,token_log_pricing\n{task},kind,b,0,0.1,{source}\n")
    world = read(file)
    assert world.tasks == (("kind", {"a": (True, 0.5), "b": (False, 0.1)}),)


def test_what_is_reported_comes_from_other_seeds_than_what_was_tuned():
    assert not set(SEEDS) & set(TUNING_SEEDS)


def test_regret_is_counted_against_the_best_model_the_best_for_each_type_and_the_best_answer_to_each_task():
    found = one((make_up(), Setting("clean", "good", False, 0, 0.0, 100), {"off": {"mode": "off"}}))
    assert {len(values) for values in found.values()} == {STEPS}
    assert sum(found["best fixed"]) <= sum(found["best per type"]) <= sum(found["oracle"])
    assert all(best >= own for best, own in zip(found["oracle"], found["off"], strict=True))


def test_gains_and_regrets_are_counted_seed_by_seed_in_points():
    run = {"off": [0.0, 1.0], "on": [1.0, 1.0], "random": [0.0, 0.0]}
    bars = {"best fixed": [1.0, 1.0], "best per type": [1.0, 1.0], "oracle": [1.0, 1.0]}
    told = summary([{name: values * (STEPS // 2) for name, values in (run | bars).items()}] * 3, ["on"])
    assert told["gain"]["on"] == [50.0, 50.0, 50.0]
    assert told["regret"]["off"] == {bar: [50.0, 50.0, 50.0] for bar in bars}
    assert told["regret"]["on"]["oracle"] == [0.0, 0.0, 0.0]
    assert told["over_random"] == {"off": [50.0, 50.0, 50.0], "on": [100.0, 100.0, 100.0]}
    assert told["curves"]["random"][1] == [51.0, 51.0, 51.0]


def test_an_interval_holds_the_means_of_ninety_five_in_a_hundred_resamples():
    mean, low, high = interval([0.0, 1.0] * 200)
    assert mean == pytest.approx(0.5)
    # 1.96 standard errors of 0.025.
    assert (low, high) == (pytest.approx(0.451, abs=0.006), pytest.approx(0.549, abs=0.006))


def case(scenario: str, gain: list[float], over_random: list[float]) -> dict:
    return {
        "weighing": "quality",
        "priors": "good",
        "types_seen": False,
        "scenario": scenario,
        "gain": {"on": gain},
        "over_random": {"on": over_random},
        "regret": {"on": {"best fixed": [0.4, -0.1, 0.9]}},
    }


def test_it_says_where_learning_does_not_help_and_where_it_is_no_better_than_chance():
    rows = [
        case("overnight", [13.7, 13.0, 14.4], [5.0, 4.0, 6.0]),
        case("clean", [-0.1, -0.4, 0.1], [5.0, 4.0, 6.0]),
        case("new good", [-0.8, -1.6, -0.2], [-3.0, -4.0, -2.0]),
    ]
    said = "\n".join(findings(rows))
    helpless, chance = said.split("no better than a model drawn at random")
    assert "overnight" not in helpless
    assert "clean: -0.1 [-0.4, +0.1]\n" in helpless
    assert "new good: -0.8 [-1.6, -0.2]   A LOSS" in helpless
    assert "new good, learning on: -3.0 [-4.0, -2.0]   A LOSS" in chance
    assert "clean" not in chance.split("still behind")[0]
