"""Small tables: the rules between providers, the providers, the profiles and the make targets, each from its own file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from edge_gateway.adaptations import RULES
from scripts.reference.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]
EDGE, ROUTER = ROOT / "edge_gateway" / "edge.toml", ROOT / "router_service" / "router.toml"
TARGET = re.compile(r"^([a-z-]+):.*?## (.+)$", re.MULTILINE)


def adaptations() -> str:
    """The rules, with what edge.toml says above each."""
    _, _, text = EDGE.read_text().partition("\n[adaptations]\n")
    globs = tomllib.loads(EDGE.read_text())["adaptations"]
    said = {name: re.search(rf"^# (.+)\n{name} = ", text, re.MULTILINE) for name in RULES}
    rows = [
        (code(name), found.group(1) if (found := said[name]) else "", ", ".join(map(code, globs[name])))
        for name in RULES
    ]
    return table(("rule", "what it does", "for"), rows)


def providers() -> str:
    """The providers that the edge ships with."""
    found = tomllib.loads(EDGE.read_text())["providers"]
    rows = [
        (code(name), code(entry.get("key") or entry.get("url", "")), ", ".join(_forms(entry)))
        for name, entry in found.items()
    ]
    return table(("provider", "variable", "takes, through the open-source gateway"), rows)


def _forms(entry: dict[str, object]) -> list[str]:
    given = entry.get("forms", ["chat"])
    forms = [str(form) for form in given] if isinstance(given, list) else []
    return [*forms, "messages"] if "messages_url" in entry and "messages" not in forms else forms


def profiles() -> str:
    """The profiles that the router ships with."""
    found = tomllib.loads(ROUTER.read_text())["profiles"]
    rows = [
        (
            code(name),
            profile["description"],
            str(profile["cost_quality_tradeoff"]),
            "yes" if profile["not_diamond"] else "no",
        )
        for name, profile in found.items()
    ]
    return table(("profile", "is for", "`cost_quality_tradeoff`", "asks Not Diamond"), rows)


def targets() -> str:
    """What `make` does here."""
    rows = [(code(f"make {name}"), said) for name, said in TARGET.findall((ROOT / "Makefile").read_text())]
    return table(("target", "does"), rows)
