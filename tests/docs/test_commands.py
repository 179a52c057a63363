"""Every command and program in the pages does what they say of it; what cannot be run in a test says why."""

import sys
from pathlib import Path

import pytest

from tests.docs.conftest import Demo
from tests.docs.pages import EVERY, MARKED, Block, marked, needs_its_programs
from tests.end_to_end.aider_runs import AIDER, Repository
from tests.processes import ROOT

SHELL = ["bash", "-euo", "pipefail", "-c"]
# What stands on two pages is run once.
BESIDE_THE_DEMO = list({block.text: block for block in marked("run", "demo")}.values())


def by_aider() -> dict[Path, list[Block]]:
    """The blocks that Aider's pages are to run in order, but for pages that repeat what another has."""
    pages: dict[Path, list[Block]] = {}
    for block in marked("run", "aider"):
        pages.setdefault(block.page, []).append(block)
    texts = {page: {block.text.replace(" --yes-always", "") for block in found} for page, found in pages.items()}
    return {page: found for page, found in pages.items() if not any(texts[page] < other for other in texts.values())}


BY_AIDER = by_aider()


@pytest.mark.parametrize("block", [one for one in EVERY if one.language in MARKED], ids=str)
def test_a_block_says_whether_it_is_run(block: Block):
    assert block.what in ("run", "load", "file", "not run"), f"{block} needs a mark: see tests/docs/pages.py"
    assert block.where, f"{block}: where, or why not?"
    assert (block.language == "toml") == (block.what == "load") or block.what == "file"


def says(block: Block, code: int, output: str) -> None:
    assert code == 0, f"{block} failed:\n{output}"
    for text in block.shows:
        assert text in output, f"{block} does not show {text!r}:\n{output}"


@pytest.mark.parametrize("block", BESIDE_THE_DEMO, ids=str)
def test_a_command_runs_and_shows_what_the_page_says(block: Block, demo: Demo):
    needs_its_programs(block)
    (demo.folder / "keys.toml").unlink(missing_ok=True)
    words = [sys.executable, "-c"] if block.language == "python" else SHELL
    done = demo.run([*words, demo.here(block.text)])
    says(block, done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("block", marked("run", "folder"), ids=str)
def test_a_command_that_makes_files_makes_them(block: Block, demo: Demo, tmp_path: Path):
    needs_its_programs(block)
    done = demo.run([*SHELL, block.text], cwd=tmp_path)
    says(block, done.returncode, done.stdout + done.stderr)
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize("page", BY_AIDER, ids=lambda page: page.name)
def test_aider_does_what_the_page_says(page: Path, demo: Demo, repository: Repository):
    env = {
        "PATH": f"{AIDER.parent}:/usr/bin:/bin",
        "HOME": str(repository.home),
        "LANG": "C.UTF-8",
        "AIDER_YES_ALWAYS": "true",
    }
    for block in BY_AIDER[page]:
        text = demo.here(block.text).replace("/path/to/this/folder", str(ROOT))
        done = demo.run([*SHELL, text], cwd=repository.folder, **env)
        says(block, done.returncode, done.stdout + done.stderr)
    assert "def welcome():" in repository.read("hello.py")
    assert len(repository.subjects()) == 2
