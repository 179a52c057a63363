"""The contract's enums and the domain's, each in the other's words."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from protos.router.v1 import router_pb2 as pb
from router_service.domain import Outcome, Purpose, Source

PURPOSES = {number: Purpose(name.removeprefix("PURPOSE_").lower()) for name, number in pb.Purpose.items() if number}
OUTCOMES = {number: Outcome(name.removeprefix("OUTCOME_").lower()) for name, number in pb.Outcome.items() if number}
SOURCES = {
    Source(name.removeprefix("DECISION_SOURCE_").lower()): number
    for name, number in pb.DecisionSource.items()
    if number
}


def purpose_number(purpose: Purpose | None) -> pb.Purpose.ValueType:
    """The contract's number of a purpose."""
    return pb.Purpose.Value(f"PURPOSE_{purpose.upper()}") if purpose else pb.PURPOSE_UNSPECIFIED


def outcome_number(outcome: Outcome) -> pb.Outcome.ValueType:
    """The contract's number of an outcome."""
    return pb.OUTCOME_UNSPECIFIED if outcome is Outcome.UNKNOWN else pb.Outcome.Value(f"OUTCOME_{outcome.upper()}")


def seconds(value: Duration | Timestamp) -> float:
    """A duration, or a time since the epoch, in seconds."""
    return value.seconds + value.nanos / 1e9


def duration(value: float) -> Duration | None:
    """Seconds as a duration; nothing for none."""
    return Duration(seconds=int(value), nanos=int(value % 1 * 1e9)) if value else None


def timestamp(value: float) -> Timestamp | None:
    """Seconds since the epoch as a timestamp; nothing for none."""
    return Timestamp(seconds=int(value), nanos=int(value % 1 * 1e9)) if value else None
