"""The images that `make dist` builds: the same bytes whoever builds them, and labels that say what they are."""

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.release import images
from scripts.release.tracked import Source, look
from tests.containers import engine
from tests.processes import ROOT
from tests.release.house import copy_of_the_checkout

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
FIRST, SECOND = "test-first", "test-second"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    """The checkout, and an engine to build it with; the images are gone afterwards."""
    try:
        env = engine.environment()
    except engine.NoEngine as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patched:
        for name, value in env.items():
            patched.setenv(name, value)
        yield look(ROOT)
        names = [f"aider-model-router-{target}:{tag}" for target in images.TARGETS for tag in (FIRST, SECOND)]
        subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False)


@pytest.fixture(scope="module")
def built(source: Source) -> dict[str, str]:
    return images.build(source, VERSION, FIRST)


def test_an_image_built_elsewhere_without_what_was_kept_is_the_same_image(
    source: Source, built: dict[str, str], tmp_path: Path
):
    copy_of_the_checkout(tmp_path)
    elsewhere = Source(tmp_path, source.files, source.epoch, source.revision, source.changed)
    before = os.umask(0o077)
    try:
        again = images.build(elsewhere, VERSION, SECOND, cache=False)
    finally:
        os.umask(before)
    assert list(again.values()) == list(built.values())


def test_an_image_says_what_it_is_and_bears_the_commits_time(source: Source, built: dict[str, str]):
    for name in built:
        (facts,) = json.loads(docker("image", "inspect", name))
        told = {label.rpartition(".")[2]: value for label, value in facts["Config"]["Labels"].items()}
        assert told["version"] == VERSION
        assert told["licenses"] == "Apache-2.0"
        assert told["revision"].startswith(source.revision)
        assert told["created"] == facts["Created"]
        assert told["title"].startswith("aider-model-router")


@pytest.mark.parametrize("target", ["router", "edge", "demo"])
def test_everybody_may_read_an_images_files_and_nobody_who_serves_may_write_them(
    source: Source, built: dict[str, str], target: str
):
    """Whatever the builder's umask was."""
    script = "find /app /packages ! -perm -o+r -o ! -user root -o -perm /o+w ! -type l"
    name = f"aider-model-router-{target}:{FIRST}"
    assert docker("run", "--rm", "--network=none", "--entrypoint=sh", name, "-c", script) == ""
