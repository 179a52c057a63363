"""Reads what gRPC and the router say of a call that failed, and finds the error that tells it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from protos.router.v1 import router_pb2 as pb
from router_client import reading
from router_client.answers import RemovedCandidate
from router_client.errors import (
    DeadlineExceeded,
    FieldViolation,
    InvalidRequest,
    NoCandidate,
    NotAuthenticated,
    NotFound,
    Overloaded,
    RouterError,
    Unavailable,
    UnknownCall,
)

DETAILS = "grpc-status-details-bin"
KINDS: dict[str, type[RouterError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": NotFound,
    "FAILED_PRECONDITION": NoCandidate,
    "UNAUTHENTICATED": NotAuthenticated,
    "UNAVAILABLE": Unavailable,
    # A router that is stopped cancels the calls that it cannot finish; what the caller cancels raises nothing of this.
    "CANCELLED": Unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "RESOURCE_EXHAUSTED": Overloaded,
    "UNIMPLEMENTED": UnknownCall,
}
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class Failed(Protocol):
    """A call that failed, as both kinds of channel tell it."""

    def code(self) -> grpc.StatusCode:
        """The status."""

    def details(self) -> str | None:
        """The status' text."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """What came with it."""


def error_of(failed: Failed, target: str, *, secure: bool) -> RouterError:
    """The error that tells a failed call. `target`: which router was asked; `secure`: whether over TLS."""
    status, text = failed.code().name, failed.details() or ""
    kind = KINDS.get(status, RouterError)
    reason, fields, removed = _details(failed.trailing_metadata() or ())
    if not reason and kind in (Unavailable, DeadlineExceeded):
        # It does not come from a router, so gRPC's words are the cause and no sentence.
        return kind(_nobody(target, status, text, secure=secure), status)
    return kind(text or f"The router at {target} answered {status}.", status, reason, fields, removed)


def refused(refusal: pb.Refusal) -> RouterError:
    """The error that the call for one request or report alone would have raised."""
    status = _NAMES.get(refusal.code, "UNKNOWN")
    removed = tuple(reading.removed(entry) for entry in refusal.removed)
    fields = tuple(FieldViolation(entry.field, entry.description) for entry in refusal.fields)
    return KINDS.get(status, RouterError)(refusal.message, status, refusal.reason, fields, removed)


def unknown_call(name: str, target: str, release: str | None) -> UnknownCall:
    """A call that is not known; `release` is the router's, None where it does not say."""
    if release is not None:
        text = f"The router at {target} (release {release}) does not know {name}; update it."
    else:
        text = (
            f"What answers at {target} does not know {name}, and says no release: it is a router older than 0.1.0, to be "
            "updated, or no router."
        )
    return UnknownCall(text, "UNIMPLEMENTED")


def unknown_answer() -> RouterError:
    """An answer in a batch that is nothing of what this client's contract has."""
    return RouterError("The router answered what this client does not know; update the client.")


def unreadable(target: str) -> RouterError:
    """An answer whose bytes are no message."""
    return RouterError(f"The answer of {target} is no message of the contract; is it a router?", "INTERNAL")


def _nobody(target: str, status: str, text: str, *, secure: bool) -> str:
    if status == "DEADLINE_EXCEEDED":
        return f"The router at {target} gave no answer in time."
    way = "over TLS; its certificate must be of an authority given in tls" if secure else "in plaintext; has it TLS?"
    return f"No router answers at {target}, or no longer (asked {way}): {text}"


def _details(
    metadata: Iterable[tuple[str, str | bytes]],
) -> tuple[str, tuple[FieldViolation, ...], tuple[RemovedCandidate, ...]]:
    """The reason, the fields that break a rule, the candidates that were removed."""
    reason = ""
    fields: tuple[FieldViolation, ...] = ()
    removed: tuple[RemovedCandidate, ...] = ()
    for key, value in metadata:
        if key != DETAILS or not isinstance(value, bytes):
            continue
        with contextlib.suppress(DecodeError):
            for packed in status_pb2.Status.FromString(value).details:
                info, bad, failure = (
                    error_details_pb2.ErrorInfo(),
                    error_details_pb2.BadRequest(),
                    error_details_pb2.PreconditionFailure(),
                )
                if packed.Unpack(info):
                    reason = info.reason
                elif packed.Unpack(bad):
                    fields = tuple(FieldViolation(one.field, one.description) for one in bad.field_violations)
                elif packed.Unpack(failure):
                    removed = tuple(
                        RemovedCandidate(model=v.subject, filter=v.type, detail=v.description)
                        for v in failure.violations
                    )
    return reason, fields, removed
