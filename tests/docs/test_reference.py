"""The reference says all there is, and nothing that is not: settings, headers, log events, errors, rules, figures."""

import re

import pytest

from edge_gateway.adaptations import RULES
from scripts.reference import contract, errors, figures, pages, settings, small, words
from scripts.reference.tables import TABLES
from tests.docs.pages import PAGES
from tests.processes import ROOT

NAMED = settings.sections(settings.ENV_EXAMPLE.read_text())


def test_every_setting_that_a_service_reads_has_its_meaning_in_the_env_example():
    assert settings.undocumented() == set()
    assert [one.name for section in NAMED for one in section.variables if not one.meaning] == []


@pytest.mark.parametrize("one", [one for section in NAMED for one in section.variables], ids=lambda one: one.name)
def test_the_default_that_the_env_example_shows_is_the_services_own(one: settings.Variable):
    info = settings.declared().get(one.name)
    if info is None or not one.shown or info.default in (None, "") or one.name == "EDGE_API_KEYS_FILE":
        return
    shown: object = one.shown
    if isinstance(info.default, bool):
        shown = one.shown == "true"
    elif isinstance(info.default, int | float):
        shown = float(one.shown)
    assert shown == info.default


@pytest.mark.parametrize("kind", ["headers", "events"])
def test_every_header_and_log_event_has_its_sentence_and_no_sentence_is_of_none(kind: str):
    in_code = words.headers_in_code()
    if kind == "events":
        in_code = {name for service in words.SERVICES for name in words.events_in_code(service)}
    assert set(words.sentences(kind)) == in_code, "docs/words.toml and the code differ"


def test_the_errors_are_those_that_the_edge_makes():
    written = set(re.findall(r"`([a-z_]+)`", errors.edge()))
    told = {one.code for one in errors.edge_errors()}
    assert told <= written
    for known in ("model_not_found", "rate_limit_exceeded", "stream_truncated", "overloaded", "budget_exceeded"):
        assert known in told


def test_the_calls_are_the_contracts_own():
    named = re.findall(r"^### (\w+)$", contract.calls(), re.MULTILINE)
    assert named == [method.name for method in contract.described().service[0].method]


def test_every_rule_between_providers_has_its_sentence():
    rows = small.adaptations().splitlines()[2:]
    assert len(rows) == len(RULES)
    assert [row for row in rows if "|  |" in row] == []


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_a_table_and_on_a_page(name: str):
    assert TABLES[name]().strip()
    mark = "peers.json" if name == "peers" else f"<!-- made: {name} -->"
    assert [page for page in PAGES if mark in page.read_text()]


def test_pages_say_what_todays_code_does():
    assert [str(page.relative_to(ROOT)) for page in pages.stale()] == [], "run: make docs"


def test_every_figure_of_a_page_is_in_the_results():
    places = [place for page in PAGES for place in figures.PLACE.finditer(page.read_text())]
    assert len(places) > 20
    for place in places:
        assert figures.figure(place["file"], place["path"]) is not None
