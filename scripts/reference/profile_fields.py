"""The fields of a profile with their defaults and bounds, from the classes that check them."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from router_service.catalog import Escalation, Learning, Profile, Tenant, Trial
from scripts.reference.markdown import code, table
from scripts.reference.settings import SIGNS

PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[profiles.NAME]", Profile),
    ("[profiles.NAME.escalation]", Escalation),
    ("[profiles.NAME.learning]", Learning),
    ("trial = { … }", Trial),
    ("[tenants.NAME]", Tenant),
)


def tables() -> str:
    """A table a part."""
    parts = []
    for title, kind in PARTS:
        said = _comments(kind)
        rows = [
            (code(name), said.get(name, ""), _default(info), _bounds(info))
            for name, info in kind.model_fields.items()
            if (kind, name) != (Profile, "name")
        ]
        parts.append(f"### `{title}`\n\n" + table(("field", "is", "default", "bounds"), rows))
    return "\n".join(parts)


def _comments(kind: type[BaseModel]) -> dict[str, str]:
    """What the source says above a field."""
    pairs = re.findall(r"^    # (.+)\n    ([a-z_]+): ", inspect.getsource(kind), re.MULTILINE)
    return {name: said for said, name in pairs}


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "none: it is needed" if info.is_required() else ""
    if isinstance(info.default, BaseModel) or info.default in (None, ""):
        return ""
    return code(_shown(info.default))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str(list(value)).replace("'", '"')
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(info: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(one, name):,}" for one in info.metadata for name, sign in SIGNS.items() if hasattr(one, name)
    ]
    choices = getattr(info.annotation, "__args__", ()) if "Literal" in str(info.annotation) else ()
    return " and ".join(limits) or ", ".join(code(str(choice)) for choice in choices)
