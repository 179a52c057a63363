"""Turns decisions and reports into JSON documents and back; fields that came later take their defaults."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import msgspec
from msgspec.structs import asdict

from router_service.domain import Decision, Word
from router_service.records import Report

# Sets are written in their order.
_ENCODER = msgspec.json.Encoder(order="deterministic")
# Not strict, for a number that JSON cannot say is its name.
_DECISION = msgspec.json.Decoder(Decision, strict=False)
_REPORT = msgspec.json.Decoder(Report, strict=False)


def to_document(word: Word) -> str:
    """A word as JSON, without the fields that are empty; a number that JSON cannot say is its name."""
    document = _ENCODER.encode(word)
    # msgspec writes null for such a number, and for nothing else in a word: None is left out as the default that it is.
    if b"null" in document:
        document = _ENCODER.encode(_named(msgspec.to_builtins(word, order="deterministic")))
    return document.decode()


def decision_from(document: str | bytes) -> Decision:
    """A decision read back, whichever release wrote it."""
    return _DECISION.decode(document)


def report_from(document: str | bytes) -> Report:
    """A report read back, whichever release wrote it."""
    return _REPORT.decode(document)


def key_of(report: Report) -> str:
    """A report's identity: its contents. What is not known does not count, so that a later release's fields don't."""
    told = {name: _named(value) for name, value in asdict(report).items() if value not in (None, 0, "", ())}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _named(value: Any) -> Any:
    """The document with the names of the numbers that JSON cannot say."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _named(entry) for key, entry in value.items()}
    return [_named(entry) for entry in value] if isinstance(value, (list, tuple)) else value
