"""The breaker's states, with the time in the test's hands."""

import pytest

from router_service.breaker import Breaker, Ticket
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def admitted(breaker: Breaker) -> Ticket:
    ticket = breaker.admit()
    assert ticket is not None
    return ticket


def trip(breaker: Breaker) -> None:
    for _ in range(5):
        breaker.failed(admitted(breaker))


def test_four_failures_leave_it_closed_and_the_fifth_opens_it(clock, breaker):
    for _ in range(4):
        breaker.failed(admitted(breaker))
    assert breaker.seconds_left() == 0
    breaker.failed(admitted(breaker))
    assert breaker.admit() is None
    assert breaker.seconds_left() == 5


def test_failures_that_lie_further_apart_do_not_add_up(clock, breaker):
    for _ in range(20):
        breaker.failed(admitted(breaker))
        clock.now += 7.6
    assert breaker.admit()


def test_after_the_pause_exactly_one_asks_and_its_success_closes_it(clock, breaker):
    trip(breaker)
    clock.now += 4.9
    assert breaker.admit() is None
    clock.now += 0.1
    probe = admitted(breaker)
    assert probe.probe
    assert breaker.admit() is None
    breaker.succeeded(probe)
    assert not admitted(breaker).probe
    for _ in range(4):
        breaker.failed(admitted(breaker))
    assert breaker.admit(), "old failures are forgotten"


def test_each_failed_probe_doubles_the_pause_up_to_a_minute_and_a_good_one_resets_it(clock, breaker):
    trip(breaker)
    for pause in (5, 10, 20, 40, 60, 60):
        assert breaker.seconds_left() == pause
        clock.now += pause
        breaker.failed(admitted(breaker))
    clock.now += 60
    breaker.succeeded(admitted(breaker))
    trip(breaker)
    assert breaker.seconds_left() == 5


def test_a_probe_that_learnt_nothing_leaves_it_to_the_next(clock, breaker):
    trip(breaker)
    clock.now += 5
    breaker.abandoned(admitted(breaker))
    assert admitted(breaker).probe


def test_late_news_from_before_changes_nothing(clock, breaker):
    stale = [admitted(breaker) for _ in range(10)]
    trip(breaker)
    breaker.failed(stale[0])
    breaker.succeeded(stale[1])
    breaker.abandoned(stale[2])
    assert breaker.seconds_left() == 5
    clock.now += 5
    probe = admitted(breaker)
    for ticket in stale[3:]:
        breaker.succeeded(ticket)
        breaker.failed(ticket)
        breaker.abandoned(ticket)
    assert breaker.admit() is None
    breaker.failed(probe)
    assert breaker.seconds_left() == 10
