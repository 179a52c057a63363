"""The Python client: its calls, its values and its errors, from their signatures and docstrings."""

from __future__ import annotations

import dataclasses
import inspect
from enum import StrEnum

import router_client
from router_client import Router, RouterError
from router_client.asked import EVERY
from router_client.failures import KINDS
from scripts.reference.markdown import code, table

OPENING = ("__init__", "close")


def calls() -> str:
    """What Router, and AsyncRouter, can be asked."""
    parts = []
    for name, call in vars(Router).items():
        if name.startswith("_") or not inspect.isfunction(call) or name in OPENING:
            continue
        signature = inspect.signature(call)
        given = ", ".join(_given(one) for one in signature.parameters.values() if one.name not in ("self", "timeout"))
        parts.append(
            f"### {name}\n\n{code(f'{name}({given})')} → {code(signature.return_annotation)}\n\n{_said(call)}\n"
        )
    return "\n".join(parts)


def errors() -> str:
    """What a call may raise."""
    statuses = {kind: ", ".join(code(name) for name, one in KINDS.items() if one is kind) for kind in KINDS.values()}
    kinds = [one for one in _shown() if issubclass(one, RouterError)]
    kinds.sort(key=lambda one: one is not RouterError)
    rows = [(code(one.__name__), statuses.get(one, "any other"), _said(one)) for one in kinds]
    return table(("error", "gRPC status", "says"), rows)


def values() -> str:
    """What calls take and give."""
    rows = []
    for one in _shown():
        if issubclass(one, StrEnum):
            rows.append((code(one.__name__), _said(one), ", ".join(code(word.name) for word in one)))
        elif dataclasses.is_dataclass(one):
            fields = ", ".join(code(f"{field.name}: {field.type}") for field in dataclasses.fields(one))
            rows.append((code(one.__name__), _said(one), fields))
    return table(("value", "is", "has"), rows)


def _given(one: inspect.Parameter) -> str:
    told = f"{one.name}: {one.annotation}"
    if one.default is inspect.Parameter.empty:
        return told
    return f"{told} = {'DecisionFilter()' if one.default is EVERY else repr(one.default)}"


def _shown() -> list[type]:
    found = (getattr(router_client, name) for name in router_client.__all__)
    return [one for one in found if isinstance(one, type)]


def _said(one: object) -> str:
    return " ".join((inspect.getdoc(one) or "").split())
