"""Every row of the fault matrix, one test each; `make faults` prints them as a table."""

from collections.abc import Iterator

import pytest

from tests.faults.matrix import NOT_INJECTED, ROWS
from tests.faults.row import BUSY, Row, play
from tests.faults.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
async def test_the_client_sees_what_the_matrix_says_and_has_its_end(stage: Stage, row: Row):
    seen = await play(row, stage, BUSY)
    print(f"\n{row.id} {row.fault}: {seen.said} in {seen.seconds:.2f} s (at most {row.bound:g})")


def test_every_fault_of_the_matrix_is_injected_or_has_a_reason_not_to_be():
    ids = [row.id for row in ROWS] + [other.id for other in NOT_INJECTED]
    assert len(ids) == len(set(ids))
    # F01 to F60 of the matrix; what was found missing from it since goes on from there.
    assert {f"F{number:02}" for number in range(1, 61)} <= set(ids)
