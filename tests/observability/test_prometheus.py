"""A real Prometheus reads the services and the shipped rules; rules and dashboards name nothing that is not there."""

import json
import re
import urllib.error

import pytest
import yaml

from tests.observability.prometheus import FOLDER, PrometheusServer, promtool
from tests.observability.scrape import exposition
from tests.processes import wait_until
from tests.router_service.calls import select

RULES = [FOLDER / "recording.yml", FOLDER / "alerts.yml"]
DASHBOARDS = sorted((FOLDER / "grafana").glob("*.json"))
OURS = re.compile(r"\b(?:(?:edge|router|gen_ai|process|event_loop)_\w+|build_info|config_ok|up)\b(?!\s*=)")
RECORDED = re.compile(r"\b\w+:\w+(?::\w+)?")
# What Prometheus itself adds to all that it scrapes.
ADDED_NAMES, ADDED_LABELS = {"up"}, {"job", "instance", "le"}


def rules() -> list[dict]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[tuple[str, str]]:
    """Each expression of each dashboard, with what it is shown as."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return found


def shown(expression: str) -> str:
    """A panel's expression as Grafana would ask it."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")


def exposed(*ports: int) -> set[str]:
    """The names of all series that there are or may be."""
    names = set()
    for port in ports:
        for _, name, kind in re.findall(r"^# (TYPE) (\w+) (\w+)$", exposition(port), flags=re.MULTILINE):
            names |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if kind == "histogram" else {name}
    return names


def test_the_rules_and_the_configuration_are_what_promtool_takes():
    assert "SUCCESS" in promtool("check", "rules", *map(str, RULES))
    assert "SUCCESS" in promtool("check", "config", str(FOLDER / "prometheus.yml"))


def test_each_alert_fires_when_it_should_and_not_before():
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "alerts_test.yml"))
    tested = (FOLDER / "alerts_test.yml").read_text()
    untested = {rule["alert"] for rule in rules() if "alert" in rule and rule["alert"] not in tested}
    assert untested == set()


def test_what_is_exposed_is_as_prometheus_wishes_it(watched):
    for port in (watched.edge, watched.router):
        promtool("check", "metrics", standard_input=exposition(port))


def test_every_metric_has_a_sentence_that_says_what_it_is(watched):
    for port in (watched.edge, watched.router):
        told = dict(re.findall(r"^# HELP (\w+) (.*)$", exposition(port), flags=re.MULTILINE))
        assert [name for name, text in told.items() if len(text) < 12 or not text.endswith(".")] == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_one_that_grafana_takes(path):
    board = json.loads(path.read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(board)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in board["panels"]]
    assert len(set(places)) == len(places)
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        # Which Prometheus is asked is whoever imports it to say.
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_rules_and_dashboards_name_what_there_is(watched):
    there = exposed(watched.edge, watched.router) | ADDED_NAMES
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    wanted = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()] + panels()
    missing = []
    for where, expression in wanted:
        plain = re.sub(r'"[^"]*"|\bby \([^)]*\)', "", expression)
        named = set(OURS.findall(RECORDED.sub("", plain))) - there | set(RECORDED.findall(plain)) - recorded
        missing += [(where, name) for name in named]
    assert missing == []


async def test_prometheus_scrapes_both_and_answers_every_panel(http, watched):
    prometheus = PrometheusServer({"edge": watched.edge, "router": watched.router})
    try:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        async with http.post(f"{watched.system.url}/v1/chat/completions", json=body) as answer:
            assert answer.status == 200
        select(watched.system.router_port, profile="auto", available_providers=["fake"])
        wait_until(lambda: prometheus.value("sum(up)") == 2, "both targets up")
        wait_until(lambda: (prometheus.value("sum(edge_requests_total)") or 0) >= 1, "the edge's requests")
        wait_until(lambda: (prometheus.value("sum(router_decisions_total)") or 0) >= 2, "the router's decisions")
        assert {target["health"] for target in prometheus.ask("targets")["activeTargets"]} == {"up"}
        loaded = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert len(loaded) == len(rules())
        wait_until(
            lambda: (
                {rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]} == {"ok"}
            ),
            "each rule to be evaluated",
        )
        refused = []
        for where, expression in panels():
            try:
                prometheus.ask("query", query=shown(expression))
            except urllib.error.HTTPError as error:
                refused.append((where, error.read().decode()))
        assert refused == []
        known = set(prometheus.ask("labels"))
        labels = {label for _, text in panels() for label in re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", text)}
        assert labels - known - ADDED_LABELS == set()
    finally:
        prometheus.close()
