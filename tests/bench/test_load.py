"""The arithmetic of the load figures, counted by hand; the stub and the generator against each other over real sockets."""

import hashlib
import json
import math

import pytest

from bench.load.arithmetic import percentile, settled_after, slope
from bench.load.connection import Broken, Pool
from bench.load.house import start_upstream
from bench.load.prompts import Ask, Probe, Wish, read_wish
from bench.load.report import Figure, table
from tests.processes import free_port


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50, 99, 100)
    assert percentile([7.0], 0.01) == 7
    assert math.isnan(percentile([], 0.5))


def test_a_slope_is_the_growth_with_each_x():
    assert slope([(0, 10.0), (1, 12.0), (2, 14.0)]) == pytest.approx(2)
    assert slope([(5, 90.0), (6, 90.0), (7, 90.0)]) == pytest.approx(0)
    assert math.isnan(slope([(0, 1.0), (1, 2.0)]))


def test_things_are_normal_again_from_the_first_second_after_which_none_is_bad():
    quick, slow = (10.0, True), (500.0, True)
    seconds = [slow, slow, quick, slow, quick, quick]
    samples = [(second + part / 10, *kind) for second, kind in enumerate(seconds) for part in range(10)]
    assert settled_after(samples, 20) == 4
    assert settled_after(samples[:10] + samples[30:40], 20) == math.inf
    assert settled_after([*samples[40:], (5.5, 10.0, False)], 20) == math.inf
    assert settled_after(samples[40:], 20) == 0
    assert settled_after([], 20) == math.inf


def test_a_bound_that_is_not_met_is_said_so():
    figure = Figure("L0", "made up")
    figure.at_most("latency", 12.0, 10.0, "ms")
    figure.at_most("errors", 0, 0)
    figure.missing("image", "<= 250 MB", "not measured here")
    assert not figure.held
    assert [line.split()[-1] for line in table([figure]).splitlines()[1:]] == ["HELD", "held", "-"]
    figure.checks.pop(0)
    assert figure.held
    # Nothing that was not measured counts as held.
    figure.at_most("latency", math.nan, 10.0, "ms")
    assert not figure.held


def test_a_wish_travels_in_a_request():
    wish = Wish(20, 4.5, 100, "cut", 0.25)
    raw = Ask(2_000, wish).raw("n7")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head.decode()
    assert len(json.loads(body)["messages"][1]["content"]) >= 2_000
    assert read_wish(body) == (wish, "n7")


@pytest.fixture(scope="module")
def upstream():
    port = free_port()
    process = start_upstream(port)
    yield port
    process.stop()


async def test_the_stub_streams_at_the_pace_that_is_wished_and_knows_its_digest(upstream):
    pool, heard = Pool(upstream), []
    answer = await pool.ask(Ask(500, Wish(5, 50.0)).raw("paced"), heard.append)
    again = await pool.ask(Ask(500).raw("plain"))
    told = await pool.ask(Probe("/counts").raw(""))
    pool.close()
    assert (answer.status, again.status) == (200, 200)
    body = b"".join(heard)
    assert body.count(b"data: ") == 5 + 2
    assert json.loads(b"".join(again.body))["choices"][0]["finish_reason"] == "stop"
    counts = json.loads(b"".join(told.body))
    assert counts["digests"]["paced"] == hashlib.sha256(body).hexdigest()
    assert counts["open"] == 0


async def test_the_stub_fails_as_is_wished(upstream):
    pool = Pool(upstream)
    refused = await pool.ask(Ask(500, Wish(fault="refuse")).raw("a"))
    assert refused.status == 503
    with pytest.raises(Broken):
        await pool.ask(Ask(500, Wish(3, 100.0, fault="cut")).raw("b"))
    pool.close()
