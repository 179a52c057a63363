"""What no code says in a sentence: response headers and log events. docs/words.toml says it, and the code which there are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from scripts.reference.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("edge_gateway", "router_service")
HEADER = re.compile(r"(x-router|x-served|cache-status|x-request-id$|age$)[a-z-]*")
# Who tells an operator something; what is told first is its name.
TELLERS = {"event", "problem", "_tell", "info", "warning", "error"}
EVENT = re.compile(r"[a-z][a-z_]+")


def sentences(kind: str) -> dict[str, str]:
    """The sentences on headers, or on events."""
    found: dict[str, str] = tomllib.loads((ROOT / "docs" / "words.toml").read_text())[kind]
    return found


def headers_in_code() -> set[str]:
    """The names of the headers that the edge may send beside the provider's."""
    found: set[str] = set()
    for tree in _trees("edge_gateway"):
        keys = (key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys)
        names = (node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript))
        found |= {_text(one) for one in (*keys, *names) if HEADER.fullmatch(_text(one))}
    return found


def events_in_code(service: str) -> dict[str, list[str]]:
    """The names of a service's log events, each with its fields as far as they stand where it is told."""
    found: dict[str, list[str]] = {}
    for tree in _trees(service):
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not call.args or not _tells(call):
                continue
            for name in _names(call.args[0]):
                known = found.setdefault(name, [])
                known += [field for field in _fields(call) if field not in known]
    return found


def headers() -> str:
    """The headers, in the order of their sentences."""
    return table(("header", "says"), [(code(name), said) for name, said in sentences("headers").items()])


def events() -> str:
    """The log events of both services."""
    said = sentences("events")
    parts = []
    for service in SERVICES:
        rows = [
            (code(name), said.get(name, ""), ", ".join(map(code, fields)))
            for name, fields in sorted(events_in_code(service).items())
        ]
        parts.append(f"## {service}\n\n" + table(("`event`", "when", "with"), rows))
    return "\n".join(parts)


def _trees(package: str) -> Iterator[ast.Module]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield ast.parse(path.read_text())


def _tells(call: ast.Call) -> bool:
    """Whether it is a log's; what has a `tell` of its own tells others."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in TELLERS
    return getattr(call.func, "id", "") in {*TELLERS, "tell"}


def _names(node: ast.expr) -> list[str]:
    nodes = (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,)
    return [text for one in nodes if EVENT.fullmatch(text := _text(one))]


def _fields(call: ast.Call) -> list[str]:
    named = [keyword.arg for keyword in call.keywords if keyword.arg]
    dicts = [node for argument in call.args[1:] for node in ast.walk(argument) if isinstance(node, ast.Dict)]
    return named + [_text(key) for found in dicts for key in found.keys if key is not None]


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
