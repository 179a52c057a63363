"""The comparison's arithmetic, counted by hand; the mock and the load generators, built and run against each other."""

import json
import shutil
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bench.peers import answers, bodies, direct, generator, placement, rounds, router_rates, summary, table
from bench.peers.bodies import CONVERSATION, NUMBER, Reply
from bench.peers.generator import Look
from bench.peers.loads import LOADS, Load, named
from bench.peers.peer import Place, Running, locked
from bench.peers.summary import Sample
from tests.processes import free_port

compiled = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("cc") or shutil.which("gcc")), reason="needs Linux and a C compiler"
)
STREAM = Reply(5, 1, 1)


def one(**figures: float | None) -> Sample:
    nothing = dict.fromkeys(Sample.__dataclass_fields__)
    numbers = {"served": 10, "errors": 0, "other_percent": 5.0, "steal_percent": 0.0}
    return Sample(**{**nothing, **numbers, **figures})  # type: ignore[arg-type]


def test_medians_are_of_the_quiet_rounds_where_there_are_enough():
    rates = [(100.0, 5.0), (110.0, 5.0), (120.0, 5.0), (10.0, 60.0), (20.0, 60.0)]
    figure = summary.medians([one(per_second=rate, other_percent=other) for rate, other in rates])
    assert (figure["per_second"], figure["rounds"], figure["quiet"]) == (110, 5, 3)
    noisy = summary.medians([one(per_second=rate, other_percent=other) for rate, other in rates[1:]])
    assert (noisy["per_second"], noisy["quiet"]) == (65, 2)
    assert summary.medians([one(per_second=7.0, other_percent=90.0)])["per_second"] == 7


def test_errors_are_summed_over_all_rounds_and_what_is_not_measured_stays_so():
    figure = summary.medians([one(errors=2, first_ms=None), one(errors=1, first_ms=3.0, other_percent=99.0)])
    assert (figure["errors"], figure["first_ms"]) == (3, 3.0)
    assert summary.medians([one(first_ms=None)])["first_ms"] is None


def test_an_event_costs_what_is_used_while_all_streams_are_open():
    looks = [
        Look(0, 0, 0.0, 50.0),
        Look(40, 40, 4.0, 70.0),
        Look(100, 1_000, 10.0, 90.0),
        Look(100, 3_000, 10.1, 110.0),
    ]
    looks.append(Look(20, 3_100, 19.0, 120.0))
    assert summary.event_us(looks) == pytest.approx(50)
    assert summary.stream_kb(looks) == pytest.approx(700)
    assert summary.event_us([]) is None
    assert summary.event_us([Look(0, 0, 0.0, 1.0)] * 3) is None
    assert summary.stream_kb([Look(0, 0, 0.0, 1.0)]) is None


def test_a_sample_counts_what_did_not_finish_as_an_error():
    counted = {"served": 4, "errors": 1, "unfinished": 2, "per_second": 8.0, "most_open": 0, "first_error": "late"}
    times = {"whole_ms": {"p50": 1.5, "p99": 2.5}, "first_ms": None}
    taken = summary.sample({**counted, **times}, [], 0.02, 33.0, 1.0, 2.0)
    assert (taken.errors, taken.cpu_ms, taken.p99_ms, taken.first_ms) == (3, 5.0, 2.5, None)


def test_what_is_added_and_how_many_times_it_is():
    assert summary.added({"p50_ms": 3.0}, {"p50_ms": 0.5}, "p50_ms") == 2.5
    assert summary.added({"p50_ms": None}, {"p50_ms": 0.5}, "p50_ms") is None
    assert summary.added(None, {"p50_ms": 0.5}, "p50_ms") is None
    assert summary.ratio(2.0, 50.0) == 25
    assert summary.ratio(0.0, 50.0) is None


def test_the_table_has_a_row_a_peer_and_a_dash_where_nothing_was_measured():
    direct_c1, own_c1 = {"p50_ms": 0.5, "p99_ms": 1.0}, {"p50_ms": 2.0, "p99_ms": 4.0}
    figures = {
        "direct": {"c1": direct_c1, "open": {"most_open": 1000}},
        "a": {
            "c1": own_c1,
            "c16": {"per_second": 12345.6, "cpu_ms": 0.04},
            "open": {"most_open": 300, "stream_kb": 9.0},
        },
    }
    told = table.rows({"direct": "direct", "a": "A", "b": "not measured"}, figures)
    assert [row[0] for row in told] == ["", "direct", "A"]
    cells = dict(zip(told[0], told[2], strict=True))
    assert "paced" not in cells
    assert (cells["added p50 ms"], cells["req/s c16"], cells["CPU ms"]) == ("1.50", "12,346", "0.04")
    # It had no thousand streams open, so what one takes is not known.
    assert "kB an open stream" not in cells
    assert told[1][1:4] == ["0.00", "0.00", "-"]
    assert len(table.markdown(told).splitlines()) == 4
    assert len({len(line) for line in table.text(told).splitlines()}) == 1


def test_how_many_times_ours_a_peer_is():
    figures = {
        "fresh": {"c16": {"cpu_ms": 0.8, "per_second": 1000.0}},
        "a": {"c16": {"cpu_ms": 24.0, "per_second": 40.0}},
    }
    told = table.ratios({"fresh": "this", "a": "A", "b": "not measured"}, {**figures, "b": {}})
    assert told[1:] == [["A", "30.0", "25.0"]]
    assert table.ratios({"a": "A"}, {"a": figures["a"]}) == []


def test_what_is_left_out_or_wrong_is_said_below():
    figures = {"a": {"c1": {"errors": 3, "first_error": "broken off"}, "c16": {"errors": 0}}}
    part = {"absent": {"n": "not installed"}, "wrong": {"b": {"c16": "status 500"}}, "figures": figures}
    assert table.remarks(part) == [
        "n: left out: not installed",
        "b, c16: not counted: status 500",
        "a, c1: 3 failed or late, first: broken off",
    ]
    assert table.listed([{"call": "x", "n": 1}, {"s": 2.5}]) == [["call", "n", "s"], ["x", "1", ""], ["", "", "2.50"]]


@pytest.mark.parametrize("size", [2_000, 41_000, 400_000])
def test_a_request_has_about_the_size_it_should_and_a_mark_in_it(size: int):
    for turns in (0, 8):
        content = bodies.body("up", size, Reply(), turns)
        if size > 2_000 or not turns:
            assert size * 0.9 < len(content) < size * 1.1
        asked = json.loads(content)
        assert [message["role"] for message in asked["messages"]].count("assistant") == turns + 1
        assert asked["messages"][-1]["content"].endswith("bench-reply:0:0:0;")
        assert (NUMBER in content.decode(), CONVERSATION in content.decode()) == (True, bool(turns))


def test_loads_are_chosen_by_name():
    assert [load.name for load in named(["open", "c1"])] == ["open", "c1"]
    assert named([]) == LOADS
    with pytest.raises(KeyError):
        named(["c17"])


def test_a_locks_version_is_found():
    assert locked("requirements/peer_tensorzero.txt", "tensorzero")[0].isdigit()
    assert locked("requirements/peer_litellm.txt", "litellm") != "?"
    assert locked("requirements/peer_litellm.txt", "nobody") == "?"


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory):
    with ExitStack() as stack:
        port = free_port()
        mock = generator.start_mock(port)
        stack.callback(mock.stop)
        place = Place(port, tmp_path_factory.mktemp("direct"), stack, mock.popen.pid)
        yield rounds.seat(direct.PEERS[0], place, placement.FREE)


@compiled
@pytest.mark.parametrize("load", LOADS[:8], ids=lambda load: load.name)
def test_the_mock_answers_each_load_as_it_wishes(seat: rounds.Seat, load: Load):
    assert answers.wrong(seat.running, load, 1) == ""
    # For as long as it takes until something has been served, which on a busy machine is longer than usual.
    for seconds in (0.2, 2.0, 20.0):
        taken = rounds.once(seat, replace(load, seconds=seconds), placement.FREE)
        assert taken.errors == 0
        if taken.served:
            break
    assert taken.served > 0
    assert (taken.first_ms is not None) == bool(load.reply.events)


@compiled
def test_a_wrong_answer_is_said(seat: rounds.Seat):
    expecting = Running("", seat.running.ports, [], expects={"x-router-source": "local"})
    assert answers.wrong(expecting, LOADS[0], 1) == "x-router-source is None, not local"
    assert answers.wrong(Running("", [free_port()], []), LOADS[0], 1).startswith("no answer")


@compiled
def test_streams_are_watched_while_they_are_open(seat: rounds.Seat):
    load = Load("few", "", 20, reply=Reply(20, 0, 50), once=True, ramp_ms=100)
    looked: list[int] = []
    files, ports = seat.files(load), seat.running.ports

    def look() -> tuple[float, float]:
        looked.append(1)
        return len(looked) / 1000, 10.0

    counted, looks = generator.run(load, ports, files, 1, None, look)
    assert (counted["served"], counted["most_open"], counted["errors"]) == (20, 20, 0)
    assert max(one.open for one in looks) == 20
    assert looks[-1].events > looks[0].events
    # 20 events, the last word and the end.
    assert counted["events"] == 20 * 22
    assert (summary.event_us(looks) or 0) > 0


@compiled
def test_what_is_not_whole_is_an_error(seat: rounds.Seat, tmp_path: Path):
    load = replace(LOADS[6], seconds=1.0, connections=2)
    short = tmp_path / "short.http"
    short.write_bytes(bodies.raw("/v1/chat/completions", {}, bodies.body("up", 2_000, Reply(3))))
    counted, _ = generator.run(load, seat.running.ports, [short], 1)
    assert counted["served"] == 0
    assert counted["errors"] > 0
    assert counted["first_error"].startswith("an incomplete stream")
    nobody, _ = generator.run(load, [free_port()], [short], 1)
    assert (nobody["served"], nobody["first_error"][:13]) == (0, "no connection")


@compiled
def test_a_conversation_goes_on_with_its_turns(seat: rounds.Seat):
    going = Running("", [], [], goes_on=True, headers={"x-session-id": CONVERSATION})
    requests = going.requests(LOADS[2])
    assert len(requests) == 8
    assert all(b"x-session-id: $$$$$$$$$$" in request for request in requests)
    sizes = [request.count(b'"assistant"') for request in requests]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


@compiled
def test_the_router_alone_is_asked_one_by_one_and_in_batches():
    rows = router_rates.measure(1, 0.1)
    assert [row.get("call") for row in rows] == ["SelectModel", "SelectModels", None]
    assert all(row["per_second"] > 0 and row["failed"] == 0 for row in rows[:2])
    assert rows[2]["rss_mb"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_are_counted_with_their_children():
    own = placement.tree([1])
    assert own[0] == 1
    assert placement.tree([4_000_000]) == [4_000_000]
    with pytest.raises(OSError):
        placement.cpu_seconds([4_000_000])
    layout = placement.pinned()
    assert layout.tested
    assert layout.load
