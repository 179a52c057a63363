"""The system that the commands are tried on, started once."""

from collections.abc import Iterator

import pytest

from tests.console.house import House, house


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as running:
        yield running
