"""What the replay's figures are compared with, counted by hand; what is said of them, and where they are written."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="numpy is installed by `make bench` alone")

from bench.routing.__main__ import measure
from bench.routing.comparison import Bars, Interval, Resamples, interval
from bench.routing.pools import TARGET_POOL, Pool
from bench.routing.study import Row, Study, study
from bench.routing.tables import Answer, Table, hand_made
from bench.routing.wording import findings
from tests.processes import ROOT

PAIR = Pool("small → large", {"small": "gpt-4.1", "large": "o3"}, "small", "large")


def test_an_interval_holds_ninety_five_in_a_hundred_resamples():
    assert interval([500.0, *(float(number) for number in range(1001))]) == Interval(500.0, 25.0, 975.0)


WIDE = Table(
    name="by_hand",
    source="made by hand",
    tasks=("1", "2", "3", "4"),
    kinds=("",) * 4,
    answers={
        "small": tuple(Answer(score, 1.0) for score in (1.0, 0.0, 0.0, 0.0)),
        "large": tuple(Answer(score, 3.0) for score in (1.0, 1.0, 1.0, 0.0)),
    },
    committable=False,
)


def test_the_gain_over_the_mix_is_counted_at_equal_cost():
    bars = Bars(WIDE, PAIR, Resamples(4, 1))
    # The mix has 50% at cost 2: halfway between 25% at cost 1 and 75% at cost 3.
    own = bars.compare([(2.0, 0.6)] * 1001)
    assert (own.mix, own.over_mix.value) == (pytest.approx(0.5), pytest.approx(10.0))
    assert bars.compare([(2.0, 0.4)] * 1001).over_mix.value == pytest.approx(-10.0)
    assert bars.compare([(1.0, 0.25)] * 1001).over_mix.value == pytest.approx(0.0)
    assert bars.compare([(3.0, 0.75)] * 1001).over_mix.value == pytest.approx(0.0)


def test_a_router_is_compared_with_a_table_by_type_where_tasks_have_types():
    kinds = ("easy", "hard") * 10
    answers = {
        "small": tuple(Answer(float(kind == "easy"), 1.0) for kind in kinds),
        "large": tuple(Answer(1.0, 3.0) for _ in kinds),
    }
    table = Table("typed", "", tuple(map(str, range(20))), kinds, answers, False)
    bars = Bars(table, PAIR, Resamples(20, 1))
    # The table asks small for what is easy and large for the rest: everything at cost 2.
    assert (2.0, 1.0) in [(pytest.approx(cost), pytest.approx(quality)) for cost, quality in bars.types]
    own = bars.compare([(2.0, 0.9)] * 1001)
    assert own.over_types is not None
    assert (own.over_mix.value, own.over_types.value) == (pytest.approx(15.0), pytest.approx(-10.0))
    untyped = Bars(replace(table, kinds=("",) * 20), PAIR, Resamples(20, 1))
    assert untyped.compare([(2.0, 0.9)] * 1001).over_types is None


def row(name: str, mode: str, gain: Interval, distrusted: float, **changes: object) -> Row:
    own = Bars(WIDE, PAIR, Resamples(4, 1)).compare([(2.0, 0.6)] * 1001)
    own = replace(own, over_mix=gain, over_zero_router=gain)
    return Row(name, mode, own, 1.5, (0.0, 0.0), distrusted, None, {"small": 1.0}, **changes)


def studied(pool: str, *rows: Row) -> Study:
    return Study(pool, "", 4, 1, (), "small", "large", 1.0, 1.0, rows)


def test_noticing_is_not_met_by_an_interval_alone():
    none_shown, loss = Interval(-0.9, -2.6, 0.5), Interval(-3.3, -5.0, -1.4)
    said = findings(
        [
            studied(TARGET_POOL, row(".5/.5", "off", none_shown, 0.0), row(".5/.5", "on", none_shown, 1.0)),
            studied("another pair", row(".5/.5", "off", loss, 0.0)),
        ]
    )
    noticing = [line for line in said if "it notices and stops" in line]
    assert [line.endswith("MISSED") for line in noticing] == [True, False]
    assert [line for line in said if "no loss shown" in line and line.endswith("met")]
    (told,) = [line for line in said if line.startswith("  another pair, learning off")]
    assert "-3.3 [-5.0, -1.4]" in told
    assert told.endswith("A LOSS")


def test_a_gain_that_is_reached_only_by_the_estimate_is_said_to_be():
    sure, unsure = row(".7/.1", "off", Interval(6.0, 5.1, 7.0), 0.0), row(".7/.1", "on", Interval(5.7, 4.1, 7.3), 0.0)
    lines = [line for line in findings([studied(TARGET_POOL, sure, unsure)]) if "at least +5" in line]
    assert lines[0].endswith("met")
    assert lines[1].endswith("met by the estimate; the interval reaches below it")


def test_a_study_replays_all_verifiers_the_control_and_modelled_second_tries():
    found = study(hand_made(40), PAIR, 2)
    told = [(entry.verifier, entry.learning, entry.aside) for entry in found.rows]
    assert told == [
        *((name, mode, "") for name in (".9/.1", ".7/.1", ".5/.1", ".5/.5") for mode in ("off", "on")),
        (".9/.1", "off", "shuffled"),
        (".7/.1", "off", "2nd try"),
        (".5/.5", "off", "2nd try"),
    ]


@pytest.mark.parametrize("committable", [True, False])
def test_what_may_not_be_published_is_written_only_to_the_folder_that_git_ignores(tmp_path: Path, committable: bool):
    pytest.importorskip("matplotlib", reason="matplotlib is installed by `make bench` alone")
    table = replace(hand_made(20), recorded=True, committable=committable)
    measure(table, (PAIR,), 1, tmp_path)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == (
        ["routing.json", "routing.svg"]
        if committable
        else ["local/routing_hand_made.json", "local/routing_hand_made.svg"]
    )
    assert "bench/results/local/" in (ROOT / ".gitignore").read_text().split()
