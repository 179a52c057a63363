"""Links lead somewhere: each file is there, and each anchor is a heading of its page."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?) *$", re.MULTILINE)
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
).stdout.split()
PAGES = sorted(ROOT / name for name in LISTED if (ROOT / name).exists()) or sorted(
    path for folder in (ROOT, ROOT / "docs") for path in folder.glob("*.md")
)


def headings(page: Path) -> set[str]:
    text = page.read_text()
    return {slug(heading) for heading in HEADING.findall(FENCE.sub("", text))}


def slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[ _]+" if "_" not in heading else " +", "-", re.sub(r"[^\w\- ]", "", plain).strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link}"
        if anchor:
            assert anchor in headings(target), f"{page.name}: {link}; there are {sorted(headings(target))}"
