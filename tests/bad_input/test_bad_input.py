"""Bad input never leads to a 500, a 422, a traceback or a hang, reaches no provider, and leaves nothing behind."""

from collections.abc import Iterator, Mapping

import pytest

from tests.bad_input.aftermath import complaints, left_over, warmed_up
from tests.bad_input.case import Case, judge
from tests.bad_input.footprint import Footprint
from tests.bad_input.house import House, running
from tests.bad_input.table import CASES, ENTRIES

# Seconds by which a busy machine may pass a case's; whether that is held `python -m tests.bad_input` judges.
BUSY = 30.0


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def before(house: House) -> Mapping[str, Footprint]:
    return warmed_up(house)


def test_every_entry_has_a_case():
    assert sorted({case.id for case in CASES}) == sorted(ENTRIES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_comes_back_as_it_must(house: House, before: Mapping[str, Footprint], case: Case):
    verdict = judge(case, house, BUSY)
    assert verdict.problem == "", f"answer seen: {verdict.seen}"


def test_afterwards_no_process_holds_more_than_before(house: House, before: Mapping[str, Footprint]):
    _, problems = left_over(house, before)
    assert problems == []


def test_afterwards_no_log_has_a_complaint(house: House):
    assert complaints(house) == []
