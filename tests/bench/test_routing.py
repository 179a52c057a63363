"""The replay of recorded results: on tables small enough to be counted by hand."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.routing import baselines
from bench.routing.pools import Pool
from bench.routing.replay import Run, replay
from bench.routing.second_tries import Again, alone, second_tries
from bench.routing.tables import Answer, Table, read_coderouterbench, read_swebench
from bench.routing.verifiers import Verifier, objections
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


# As router.toml has it.
RETRY_SUCCESS_OF_O3 = 0.609


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


async def test_learning_leaves_a_model_that_always_fails_and_without_it_nothing_changes():
    answers = {"small": (Answer(0.0, 0.01),) * 150, "large": (Answer(1.0, 0.011),) * 150}
    table = Table("one-sided", "made by hand", tuple(map(str, range(150))), ("",) * 150, answers, False)
    verdicts = objections(table, list(PAIR.priors), PERFECT, 0)
    off, on = [await replay(table, PAIR, verdicts, 0, mode) for mode in ("off", "on")]
    assert set(off.first) == {"small"}
    assert on.first.count("large") > 100


async def test_a_modelled_second_try_is_asked_and_paid_for_and_stands():
    # gpt-4.1 mends fewer than .45 of its failures and is left at once; o3 mends more and is the strongest, so it stays.
    again = {
        "small": (Again(Answer(0.0, 9.0), True),) * 4,
        "large": (
            Again(Answer(1.0, 1.0), False),
            Again(Answer(1.0, 1.0), False),
            Again(Answer(1.0, 1.0), False),
            Again(Answer(0.0, 1.0), True),
        ),
    }
    verdicts = objections(TABLE, list(PAIR.priors), ALWAYS, 0)
    run = await replay(TABLE, PAIR, verdicts, 0, again=again)
    assert run.scores == (1.0, 1.0, 1.0, 0.0)
    # Small, large, large again; where that is objected to too, large a third time, and no more: Aider gives up.
    assert run.replies == (3, 3, 3, 4)
    assert run.costs == pytest.approx((2.01, 2.01, 2.01, 3.01))


def test_modelled_second_tries_mend_the_share_of_failures_that_the_prior_says_and_break_nothing():
    answers = {"small": (Answer(1.0, 0.5),) * 1000 + (Answer(0.0, 0.5),) * 1000}
    table = Table("many", "", ("task",) * 2000, ("",) * 2000, answers, False)
    tries = second_tries(table, Pool("one", {"small": "o3"}, "small", "small"), Verifier(1.0, 0.0), 0)["small"]
    assert [entry.answer for entry in tries[:1000]] == [Answer(1.0, 0.5)] * 1000
    assert sum(entry.answer.score for entry in tries[1000:]) == pytest.approx(1000 * RETRY_SUCCESS_OF_O3, abs=60)
    assert all(entry.objected == (entry.answer.score == 0.0) for entry in tries)


def test_models_that_a_router_with_second_tries_has_to_beat_have_them_too():
    answers = {"small": (Answer(0.0, 1.0), Answer(0.0, 1.0), Answer(1.0, 1.0))}
    table = Table("three", "", ("1", "2", "3"), ("",) * 3, answers, False)
    again = {"small": (Again(Answer(1.0, 1.0), False), Again(Answer(0.0, 1.0), True), Again(Answer(1.0, 1.0), False))}
    # Mended at the second try; never, after four; and nobody objected.
    assert alone(table, {"small": (True, True, False)}, again) == {
        "small": (Answer(1.0, 2.0), Answer(0.0, 4.0), Answer(1.0, 1.0))
    }


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


def test_a_table_by_type_never_learns_from_the_task_that_it_is_asked_about():
    # Five tasks of a type are five folds. Where "b" is wrong the four others still speak for "b"; where it is right they are
    # two against two, and the first model gets it. A table that had seen the task itself would take "b" everywhere.
    wins = {"a": (1.0, 1.0, 0.0, 0.0, 0.0), "b": (0.0, 0.0, 1.0, 1.0, 1.0)}
    answers = {model: tuple(Answer(score, 0.0) for score in scores) for model, scores in wins.items()}
    table = Table("folds", "", tuple("12345"), ("kind",) * 5, answers, False)
    assert baselines.by_type(table, ["a", "b"], 0.0) == ["b", "b", "a", "a", "a"]


def test_results_under_a_licence_that_forbids_it_are_not_for_publishing(tmp_path: Path):
    file = tmp_path / "swebench.csv.gz"
    with gzip.open(file, "wt") as text:
        text.write("instance_id,model,resolved,cost_usd\none,Some,1,0.5\n")
    assert not read_swebench(file).committable
    file = tmp_path / "coderouterbench.csv.gz"
    with gzip.open(file, "wt") as text:
        text.write("task_id,dimension,model,score,cost_usd,cost_source\n")
        text.write("one,kind,some,1,0.5,token_log_pricing\ntwo,kind,some,1,0.5,mean\n")
    assert read_coderouterbench(file).committable
    assert read_coderouterbench(file).tasks == ("one",)


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
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("not here, so left out") == 2
    assert "small → large" in done.stdout
    assert "written:" not in done.stdout
