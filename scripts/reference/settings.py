"""The settings: their meaning from .env.example, where operators read it, defaults and bounds from the services' classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

import edge_gateway.settings
import router_service.settings
from scripts.reference.markdown import code, table

ENV_EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
SECTION = re.compile(r"# --- (.+) ---")
VARIABLE = re.compile(r"#([A-Z][A-Z0-9_]+)=(.*)")
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
SERVICES = (router_service.settings.Settings, edge_gateway.settings.Settings)


@dataclass
class Variable:
    """A line of .env.example with what is said above it."""

    name: str
    shown: str
    meaning: str


@dataclass
class Section:
    """Variables that belong together."""

    title: str
    variables: list[Variable] = field(default_factory=list)


def sections(text: str) -> list[Section]:
    """What .env.example says; a comment above several variables is said of each."""
    found: list[Section] = []
    said: list[str] = []
    fresh = True
    for line in text.splitlines():
        if section := SECTION.fullmatch(line):
            found.append(Section(section.group(1)))
            fresh = True
        elif variable := VARIABLE.fullmatch(line):
            found[-1].variables.append(Variable(variable.group(1), variable.group(2), " ".join(said)))
            fresh = True
        elif line.startswith("# "):
            said = [line[2:]] if fresh else [*said, line[2:]]
            fresh = False
    return found


def declared() -> dict[str, FieldInfo]:
    """The variables that the two services read, each with its declaration."""
    return {name: info for service in SERVICES for info in service.model_fields.values() for name in names(info)}


def names(info: FieldInfo) -> Iterator[str]:
    """What a setting is called; some have an older name as well."""
    alias = info.validation_alias
    yield from map(str, alias.choices if isinstance(alias, AliasChoices) else [alias])


def undocumented() -> set[str]:
    """Variables that a service reads and .env.example does not have."""
    told = {variable.name for section in sections(ENV_EXAMPLE.read_text()) for variable in section.variables}
    every = [set(names(info)) for service in SERVICES for info in service.model_fields.values()]
    # What is listed under one of its names is listed; addresses that `make run` and the containers set are none of the user's.
    return {min(group) for group in every if not group & told} - {"EDGE_PORTKEY_GATEWAY"}


def tables() -> str:
    """All settings, section by section."""
    known = declared()
    parts = []
    for section in sections(ENV_EXAMPLE.read_text()):
        rows = [_row(variable, known.get(variable.name)) for variable in section.variables]
        parts.append(f"## {section.title}\n\n" + table(("variable", "meaning", "default", "bounds"), rows))
    return "\n".join(parts)


def _row(variable: Variable, info: FieldInfo | None) -> tuple[str, str, str, str]:
    default = variable.shown if info is None else _default(info.default)
    return code(variable.name), variable.meaning, code(default), bounds(info)


def _default(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def bounds(info: FieldInfo | None) -> str:
    """What a value has to be, as the class checks it."""
    if info is None:
        return ""
    limits = [(sign, getattr(one, name)) for one in info.metadata for name, sign in SIGNS.items() if hasattr(one, name)]
    if limits:
        return " and ".join(f"{sign} {limit:,}" for sign, limit in limits)
    choices = getattr(info.annotation, "__args__", ()) if "Literal" in str(info.annotation) else ()
    if info.annotation is bool:
        choices = ("true", "false")
    return ", ".join(f"`{choice}`" for choice in choices)
