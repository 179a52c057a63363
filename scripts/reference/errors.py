"""The errors of both services: code, status and what each means, from where they are made."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import router_service.wiring  # noqa: F401 - with all parts, for some have an error of their own
from edge_gateway import errors
from router_service.errors import RouterError
from scripts.reference.markdown import code, table

EDGE = Path(errors.__file__).parent
# Those who make errors, and where among their arguments the code stands.
MAKERS = {"GatewayError": 2, "invalid_request": 2, "forbidden": 1, "_busy": 0, "_unauthorized": 9}
# The status, type and code of makers that fix them.
FROM_PROVIDER = "The model's provider, or Portkey, refuses or fails so."
FIXED = {"invalid_request": 400, "forbidden": 403, "_busy": 503}


@dataclass(frozen=True)
class Told:
    """An error that a client of the edge may get."""

    status: int
    code: str
    kind: str
    meaning: str


def edge() -> str:
    """The edge's errors, by status."""
    found = sorted(
        set(edge_errors()), key=lambda told: (told.status, told.code, told.meaning == FROM_PROVIDER, told.meaning)
    )
    rows = []
    for one in found:
        status = str(one.status)
        if rows and rows[-1][:3] == (status, code(one.code), code(one.kind)):
            rows[-1] = (*rows[-1][:3], f"{rows[-1][3]} {one.meaning}")
        else:
            rows.append((status, code(one.code), code(one.kind), one.meaning))
    return table(("status", "`code`", "`type`", "when"), rows)


def router() -> str:
    """The router's refusals."""
    classes = sorted(_below(RouterError), key=lambda one: one.reason)
    rows = [(code(one.status), code(one.reason), (inspect.getdoc(one) or "").partition("\n")[0]) for one in classes]
    return table(("gRPC status", "`ErrorInfo.reason`", "when"), rows)


def edge_errors() -> Iterator[Told]:
    """Every place in the edge that makes an error with a code that is known there."""
    for path in sorted(EDGE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _made_in(function)


def _made_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Told]:
    own = function.name in MAKERS
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and (maker := _name(call.func)) in MAKERS and not own:
            yield from _told(call, maker, function)


def _told(call: ast.Call, maker: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Told]:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    place = MAKERS[maker]
    written = given.get("code") or (call.args[place] if len(call.args) > place else None)
    codes = _constants(written) if written is not None else ["invalid_request"]
    status, kind = FIXED.get(maker), "service_unavailable" if maker == "_busy" else "invalid_request_error"
    if maker == "GatewayError":
        status, kind = _value(call.args[0]), str(_value(call.args[1]))
    if maker == "_unauthorized":
        status, kind, codes = 401, "authentication_error", ["invalid_api_key"]
    meaning = _meaning(call, maker, function)
    if isinstance(status, int) and meaning:
        yield from (Told(status, one, kind, meaning) for one in codes if one)


def _meaning(call: ast.Call, maker: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What a function that is there for one error says of itself; elsewhere the sentence that the client reads."""
    if function.name == "from_upstream":
        return FROM_PROVIDER
    said = (ast.get_docstring(function) or "").partition("\n")[0]
    if said and _name(function.returns) == "GatewayError":
        return said.partition(";")[0].rstrip(".") + "."
    message = call.args[3 if maker == "GatewayError" else 0] if call.args else None
    if isinstance(message, ast.Name):
        assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
        message = next((node.value for node in assigned if _name(node.targets[0]) == _name(message)), None)
    return _sentence(message)


def _sentence(node: ast.expr | None) -> str:
    """A text as it is written, with … where something is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    value = _value(node)
    return value if isinstance(value, str) else ""


def _constants(node: ast.expr | None) -> list[str]:
    """The codes that an expression may come to, as far as they are written there."""
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _constants(value)]
    if isinstance(node, ast.IfExp):
        return _constants(node.body) + _constants(node.orelse)
    value = _value(node)
    return [value] if isinstance(value, str) else []


def _value(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    name = _name(node)
    return getattr(errors, name, None) if name else None


def _name(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _below(kind: type[RouterError]) -> Iterator[type[RouterError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
