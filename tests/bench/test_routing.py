"""The replay of recorded results: on tables small enough to be counted by hand."""

import os
import subprocess
import sys

import pytest

from bench.routing import baselines
from bench.routing.pools import Pool
from bench.routing.replay import Run, Verifier, objections, replay
from bench.routing.tables import Answer, Table
from tests.processes import ROOT

PERFECT, NEVER, ALWAYS = Verifier(1.0, 0.0), Verifier(0.0, 0.0), Verifier(1.0, 1.0)
# What each model's answers to four tasks are worth: both right, the large one alone, neither, the small one alone.
SMALL, LARGE = (1.0, 0.0, 0.0, 1.0), (1.0, 1.0, 0.0, 0.0)
TABLE = Table(
    name="by_hand",
    source="made by hand",
    tasks=("both", "large alone", "neither", "small alone"),
    kinds=("easy", "hard", "hard", "easy"),
    answers={
        "small": tuple(Answer(score, 0.01) for score in SMALL),
        "large": tuple(Answer(score, 1.0) for score in LARGE),
    },
    committable=False,
)
PAIR = Pool("small → large", {"small": "gpt-4.1", "large": "o3"}, "small", "large")


async def replayed(verifier: Verifier, pool: Pool = PAIR) -> Run:
    return await replay(TABLE, pool, objections(TABLE, list(pool.priors), verifier, 0), 0)


async def test_what_the_verifier_objects_to_goes_to_the_stronger_model_and_both_answers_are_paid_for():
    run = await replayed(PERFECT)
    assert run.scores == (1.0, 1.0, 0.0, 1.0)
    assert run.costs == pytest.approx((0.01, 1.01, 1.01, 0.01))
    assert run.replies == (1, 2, 2, 1)


async def test_without_an_objection_the_cheap_model_answers_everything():
    run = await replayed(NEVER)
    assert (run.scores, run.first) == (SMALL, ("small",) * 4)
    assert run.costs == pytest.approx((0.01,) * 4)


async def test_when_no_candidate_is_stronger_the_last_answer_stands_however_often_it_is_objected_to():
    run = await replayed(ALWAYS)
    assert run.scores == LARGE
    assert run.costs == pytest.approx((1.01,) * 4)


async def test_a_model_that_passes_for_the_stronger_is_not_left_for_one_that_really_is():
    run = await replayed(PERFECT, Pool("wrong priors", {"small": "o3", "large": "gpt-4.1"}, "small", "large"))
    assert (run.scores, set(run.stayed[5:])) == (SMALL, {0.0, 1.0})


def test_a_shuffled_verifier_objects_as_often_and_to_other_tasks():
    plain = [objections(TABLE, ["small"], PERFECT, seed)["small"] for seed in range(10)]
    shuffled = [objections(TABLE, ["small"], PERFECT, seed, shuffled=True)["small"] for seed in range(10)]
    assert {sum(verdicts) for verdicts in plain + shuffled} == {2}
    assert len(set(plain)) == 1 < len(set(shuffled))


def test_a_partly_right_answer_is_objected_to_in_proportion():
    table = Table("half", "", ("task",) * 2000, ("",) * 2000, {"small": (Answer(0.5, 0.0),) * 2000}, False)
    assert sum(objections(table, ["small"], Verifier(0.9, 0.1), 0)["small"]) == pytest.approx(1000, abs=100)


def test_the_random_mix_lies_on_the_line_between_two_models_and_beyond_them_costs_more_for_nothing():
    corners = [(1.0, 0.5), (3.0, 0.9)]
    assert [baselines.at(corners, cost) for cost in (0.5, 1, 2, 3, 4)] == pytest.approx([0.5, 0.5, 0.7, 0.9, 0.9])
    assert baselines.area(corners, 1, 3) == pytest.approx(0.7)


def test_the_zero_router_leaves_out_models_that_a_mix_of_others_beats():
    assert baselines.hull([(3, 0.9), (2, 0.6), (1, 0.5), (4, 0.8)]) == [(1, 0.5), (3, 0.9)]
    assert baselines.hull([(1, 0.5), (1, 0.4), (2, 0.9), (3, 1.0)]) == [(1, 0.5), (2, 0.9), (3, 1.0)]


def test_the_oracle_takes_the_cheapest_model_that_solves_the_task_and_the_cheapest_where_none_does():
    answers = baselines.oracle(TABLE, ["small", "large"])
    assert [(answer.score, answer.cost) for answer in answers] == [(1, 0.01), (1, 1.0), (0, 0.01), (1, 0.01)]


def test_a_type_that_the_table_has_not_seen_gets_the_model_that_was_best_on_the_others():
    assert baselines.unseen_type(TABLE, ["small", "large"], 0.0) == ["large", "small", "small", "large"]


def test_without_the_recorded_results_it_says_so_and_replays_a_made_up_table(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is installed by `make bench` alone")
    done = subprocess.run(
        [sys.executable, "-m", "bench.routing"],
        cwd=ROOT,
        env={**os.environ, "SHARED_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("not here, so left out") == 2
    assert "small → large" in done.stdout
    assert "written:" not in done.stdout
