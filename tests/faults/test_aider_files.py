"""Whatever breaks while real Aider edits a file, the file is the old one or the right new one, never anything between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.aider_runs import AIDER, MISSING
from tests.fakes.provider import FakeProvider
from tests.faults.aider_cases import CASES, Case
from tests.faults.aider_files import Row, run, table
from tests.faults.aider_scene import Scene, scene

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def stage(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, list[Row]]]:
    if not AIDER.exists():
        pytest.skip(MISSING)
    rows: list[Row] = []
    with scene(provider, tmp_path_factory.mktemp("house")) as made:
        yield made, rows
    print(f"\n{table(rows)}")


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_file_is_the_old_one_or_the_right_new_one(stage: tuple[Scene, list[Row]], tmp_path: Path, case: Case):
    made, rows = stage
    found = run(case, made, tmp_path)
    rows += found
    for row in found:
        assert row.file == case.file, row.said
        assert case.requests in (None, row.requests), row.said
