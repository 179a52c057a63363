"""The capacity note's arithmetic, counted by hand, and that what is committed is what the scripts print."""

import json

import pytest

from bench import capacity
from bench.peers import report
from router_service.ledger.database import CONNECTIONS
from tests.containers.scale import table
from tests.processes import ROOT

PAGE = ROOT / "deploy" / "kubernetes" / "scale.md"
FIGURES = {
    "fresh": {"c16": {"cpu_ms": 2.0}, "c64": {"rss_mb": 200}, "flow": {"event_us": 100}, "open": {"stream_kb": 20}},
    "leased": {"c16": {"cpu_ms": 1.0}},
    "ours-portkey": {"c16": {"cpu_ms": 5.0}},
    "portkey": {"c64": {"rss_mb": 150}, "flow": {"event_us": 200}, "open": {"stream_kb": 250}},
}
FOUND = {
    "date": "2026-11-26",
    "machine": {"cores": 2, "python": "3.11"},
    "pinned": {"figures": FIGURES},
    "router": [{"call": "SelectModel", "router_cpu_ms_each": 0.5}],
}
PACE = [
    {"peer": "fresh", "per_second": 600, "edge_ms": 1.0, "router_ms": 0.6, "edge_rss_mb": 120, "router_rss_mb": 90},
    {"peer": "fresh", "per_second": 100, "edge_ms": 3.0, "router_ms": 2.0, "edge_rss_mb": 110, "router_rss_mb": 95},
    {"peer": "portkey", "per_second": 300, "portkey_ms": 2.0, "portkey_rss_mb": 160},
    {"peer": "portkey", "per_second": 700, "portkey_ms": 1.4, "portkey_rss_mb": 155},
]


def test_pods_are_cores_at_the_utilisation_and_three_at_least():
    assert capacity.pods(1_000, 1.2) == 3
    assert capacity.pods(10_000, 1.2) == 20
    assert capacity.pods(10_000, 1.21) == 21


def test_a_routers_connections_are_those_that_it_opens():
    assert capacity.CONNECTIONS == CONNECTIONS


def test_each_process_costs_what_it_did_at_the_pace_nearest_to_that_utilisation():
    fresh, leased, streamed = capacity.loads({**FOUND, "pace": PACE})
    # The router is as busy as 36% at most, the gateway exactly 60%.
    assert fresh.cpu_ms == {"edge": 1.0, "router": 0.6, "portkey": 2.0}
    assert leased.cpu_ms == {"edge": 0.5, "router": 0.3, "portkey": 2.0}
    assert streamed.cpu_ms == pytest.approx({"edge": 1 + 200 * 0.1, "router": 0.6, "portkey": 2 + 200 * 0.2})
    assert (fresh.first(), streamed.seconds) == ("portkey", 10)
    assert capacity.memory_mb({**FOUND, "pace": PACE}) == {"edge": 120, "router": 95, "portkey": 160}


def test_without_paces_edge_and_router_are_told_apart_by_what_a_lone_call_costs():
    fresh, leased, _ = capacity.loads(FOUND)
    assert fresh.cpu_ms == {"edge": 1.5, "router": 0.5, "portkey": 3.0}
    assert leased.cpu_ms == {"edge": 0.75, "router": 0.25, "portkey": 3.0}


def test_the_page_holds_what_the_script_prints():
    scaled = json.loads(capacity.SCALE.read_text()) if capacity.SCALE.exists() else None
    note = capacity.page(report.read(), scaled)
    assert capacity.committed() == note, "run: .venv/bin/python -m bench.capacity --write"
    assert "| new conversations, 2 kB | 100,000 |" in note
    assert "none" not in note.lower()


def test_the_scaling_page_holds_what_was_seen():
    assert table.page(json.loads(capacity.SCALE.read_text())) == PAGE.read_text()
