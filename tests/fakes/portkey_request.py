"""How hosted Portkey reads a request: its headers, its config, its feedback; whatever is wrong is refused by its name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from tests.fakes.behaviours import JSON
from tests.fakes.portkey_config import Config

LONGEST_METADATA = 128


class Refused(Exception):
    """Carries the status and the sentence of a refusal in Portkey's own form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Attempt:
    """One call of a target: where it stands in the config, the key and the body it was sent, and its status."""

    place: str
    provider: str
    key: str
    body: JSON
    status: int = 0


@dataclass
class Handled:
    """One request as it came, how it was read, and how it was answered."""

    path: str
    headers: Mapping[str, str]
    body: JSON
    raw: bytes
    trace_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    config_id: str = ""
    config: JSON = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    status: int = 0
    place: str = ""
    cache_status: str = "DISABLED"


def json_of(raw: bytes, what: str) -> Any:
    """The JSON in `raw`; `what` names it in the refusal."""
    try:
        return json.loads(raw)
    except ValueError:
        raise Refused(400, f"{what} is no JSON") from None


def object_of(raw: bytes, what: str) -> JSON:
    """The JSON object in `raw`."""
    value = json_of(raw, what)
    if not isinstance(value, dict):
        raise Refused(400, f"{what} must be a JSON object")
    return value


def read_headers(handled: Handled, saved_configs: Mapping[str, JSON]) -> Config:
    """Notes what the headers say and returns the config, which may stand in them or be saved by its id."""
    handled.trace_id = handled.headers.get("x-portkey-trace-id", "")
    if not handled.trace_id:
        raise Refused(400, "x-portkey-trace-id is missing")
    handled.metadata = object_of(handled.headers.get("x-portkey-metadata", "{}").encode(), "x-portkey-metadata")
    if not all(isinstance(value, str) and len(value) <= LONGEST_METADATA for value in handled.metadata.values()):
        raise Refused(400, f"x-portkey-metadata must have strings of at most {LONGEST_METADATA} characters as values")
    told = handled.headers.get("x-portkey-config", "")
    if not told:
        raise Refused(400, "Either x-portkey-config or x-portkey-provider header is required")
    if told.startswith("pc-"):
        handled.config_id = told
        if told not in saved_configs:
            raise Refused(400, "Invalid config id passed")
        handled.config = saved_configs[told]
    else:
        handled.config = object_of(told.encode(), "x-portkey-config")
    try:
        return Config.model_validate(handled.config)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Refused(400, f"Invalid config passed: {problems}") from None


def check_feedback(told: JSON) -> None:
    """Refuses what is no feedback: a trace id, a value from -10 to 10, and perhaps a weight from 0 to 1."""
    value, weight = told.get("value"), told.get("weight", 1)
    if not isinstance(told.get("trace_id"), str) or not told["trace_id"]:
        raise Refused(400, "trace_id is required")
    if type(value) is not int or not -10 <= value <= 10:
        raise Refused(400, "value must be a whole number from -10 to 10")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise Refused(400, "weight must be a number from 0 to 1")
