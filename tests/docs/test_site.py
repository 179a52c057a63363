"""`make docs` makes whole pages, and they need nothing from anywhere else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.processes import ROOT

# What a browser fetches by itself; a link is the reader's choice.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video)\b[^>]*\bsrc=["']?(https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
)
IN_STYLE = re.compile(r"""url\(["']?(?:https?:)?//|@import ["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_with_what_is_made_from_the_code(site: Path):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists(), page
        text = (site / page.relative_to(ROOT / "docs").with_suffix(".html")).read_text()
        assert not re.search(r"(<|&lt;)!-- (made|file|run|not run|load|=)", text), page
    assert "EDGE_MAX_LAG_SECONDS" in (site / "reference" / "settings.html").read_text()
    assert "def main(" in re.sub(r"<[^>]+>", "", (site / "how-to" / "clients.html").read_text())


def test_nothing_is_fetched_from_anywhere(site: Path):
    for page in (*site.rglob("*.html"), *site.rglob("*.css")):
        text = page.read_text()
        assert not FETCHED.search(text), page
        assert not IN_STYLE.search(text), page


def test_the_search_finds_a_setting(site: Path):
    index = next(site.rglob("search_index.json")).read_text()
    assert "ROUTER_LEDGER_RETENTION_DAYS" in index


def test_the_picture_of_the_architecture_shows_todays_imports():
    done = subprocess.run([sys.executable, "-m", "scripts.architecture", "--check"], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0, "docs/images/architecture.svg is of other imports; run: python -m scripts.architecture"


def test_the_picture_is_well_formed_and_readable_in_dark_and_light():
    text = (ROOT / "docs" / "images" / "architecture.svg").read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "prefers-color-scheme:dark" in text
