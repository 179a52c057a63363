"""What comes again changes nothing while it is remembered, and what is remembered ends."""

import pytest

from router_service.latest import MOST, SECONDS, Latest
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_comes_again_within_its_time_is_not_new(clock):
    latest = Latest(clock)
    step = SECONDS / 8
    for number in range(30):
        assert latest.is_new(b"report %d" % number)
        if number >= 7:
            # Seven steps old.
            assert not latest.is_new(b"report %d" % (number - 7))
        clock.now += step


def test_of_many_at_once_at_least_the_latest_so_many_are_remembered(clock):
    latest = Latest(clock)
    for number in range(3 * MOST + 17):
        assert latest.is_new(b"%d" % number)
    assert not any(latest.is_new(b"%d" % number) for number in range(2 * MOST + 17, 3 * MOST + 17))


def test_what_has_had_its_time_is_forgotten(clock):
    latest = Latest(clock)
    assert latest.is_new(b"report")
    for _ in range(2):
        clock.now += SECONDS
        assert latest.is_new(b"%f" % clock.now)
    assert latest.is_new(b"report")


@pytest.mark.parametrize("later", [0.0, SECONDS])
def test_what_could_not_be_taken_in_is_new_when_it_comes_again(clock, later):
    latest = Latest(clock)
    assert latest.is_new(b"report")
    clock.now += later
    latest.is_new(b"another")
    latest.forget(b"report")
    assert latest.is_new(b"report")
