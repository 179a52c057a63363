"""Everything that a call can fail with: a small tree under RouterError, each with what the router said of it."""

from __future__ import annotations

from dataclasses import dataclass

from router_client.answers import RemovedCandidate


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that breaks a rule, and how to mend it."""

    field: str
    description: str


class RouterError(Exception):
    """A call failed; its text is a sentence for a person.

    `status`: the gRPC status, such as NOT_FOUND, empty where nothing was sent. `reason`: the router's own word, such as
    UNKNOWN_PROFILE, empty where it was not the router that refused. `fields` names each field that breaks a rule, `removed` the
    candidates that a filter removed.
    """

    def __init__(
        self,
        message: str,
        status: str = "",
        reason: str = "",
        fields: tuple[FieldViolation, ...] = (),
        removed: tuple[RemovedCandidate, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.fields = fields
        self.removed = removed

    def __reduce__(self) -> tuple[object, ...]:
        """Whole after pickling, as a process pool does."""
        return type(self), (str(self), self.status, self.reason, self.fields, self.removed)


class InvalidRequest(RouterError):
    """The request breaks a rule of the contract, or holds what cannot be sent; `fields` says which. Mend it."""


class NotFound(RouterError):
    """There is no such profile, or no such decision any more."""


class NoCandidate(RouterError):
    """No candidate meets the requirements; `removed` says what each lacked."""


class NotAuthenticated(RouterError):
    """The router wants a token that it knows."""


class Unavailable(RouterError):
    """No router answers, or it cannot do this now. Trying again later may help."""


class DeadlineExceeded(RouterError):
    """No answer came within the call's time-out. Trying again may help."""


class Overloaded(RouterError):
    """The router takes no more calls now, a message is larger than it takes (4 MiB), or a watch was read too slowly."""


class UnknownCall(RouterError):
    """The router does not know this call: it is older than this client, or what answers is no router."""
