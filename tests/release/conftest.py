"""The wheels, built once, and environments with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.release.__main__ import build
from scripts.release.tracked import look
from tests.processes import ROOT
from tests.release.house import Environment, environment


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make dist` makes of the sources alone."""
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs into a wheel is known from git, and this is no clone")
    folder = tmp_path_factory.mktemp("built")
    build(look(ROOT), folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Callable[[str], Path]:
    """The wheel of a distribution."""

    def find(name: str) -> Path:
        (found,) = built.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
        return found

    return find


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Callable[[str], Path]) -> Environment:
    """All that `make run` installs, and both wheels."""
    wheels = (wheel("aider-model-router"), wheel("aider-model-router-client"))
    return environment(tmp_path_factory.mktemp("installed"), ROOT / "requirements" / "run.txt", *wheels)
