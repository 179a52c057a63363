"""Every configuration in the pages is one that the services take, and every setting that pages name is one of theirs."""

import re
from pathlib import Path

import pytest

import edge_gateway.settings
import router_service.settings
from tests.docs.pages import EVERY, PAGES, Block, marked
from tests.processes import ROOT

ENV = ROOT / ".env.example"
# Of others, of the system, or of the launcher for the edge alone.
OTHERS = {
    "EDGE_DEMO_URL",
    "LITELLM_LOCAL_MODEL_COST_MAP",
    "OPENAI_PROJECT_ID",
    "OPENAI_API_KEY_2",
    "HOUSE_API_KEY",
    "PROVIDER_KEYS",
}
VARIABLE = re.compile(
    r"`((?:EDGE|ROUTER|PORTKEY|DEMO|OPENAI|ANTHROPIC|NOT_DIAMOND|NOTDIAMOND|TRUSTED|HOUSE)_[A-Z0-9_]+)(?:=[^`]*)?`"
)


@pytest.mark.parametrize("block", marked("load", "router"), ids=str)
def test_the_router_takes_a_pages_configuration(block: Block, tmp_path: Path):
    path = tmp_path / "router.toml"
    path.write_text(block.text)
    assert router_service.settings.load_catalog(str(path)).profiles


@pytest.mark.parametrize("block", marked("load", "edge"), ids=str)
def test_the_edge_takes_a_pages_configuration(block: Block, tmp_path: Path):
    path = tmp_path / "edge.toml"
    path.write_text(block.text)
    assert edge_gateway.settings.load_config(str(path)).providers


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "policies").glob("*.toml")), ids=lambda path: path.name)
def test_the_router_takes_an_examples_policy(path: Path):
    assert path.stem in router_service.settings.load_catalog(str(path)).profiles


@pytest.mark.parametrize("block", [one for one in EVERY if one.language == "dotenv"], ids=str)
def test_a_line_for_the_env_file_names_a_setting(block: Block):
    named = re.findall(r"^([A-Z0-9_]+)=\S", block.text, re.MULTILINE)
    assert named
    assert [name for name in named if f"#{name}=" not in ENV.read_text()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_setting_that_is_not_there(page: Path):
    told = ENV.read_text()
    named = set(VARIABLE.findall(page.read_text())) - OTHERS
    assert {name for name in named if f"#{name}=" not in told} == set()
