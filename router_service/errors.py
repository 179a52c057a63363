"""Everything SelectModel can refuse, each with its gRPC status, its reason code and a sentence that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router_service.domain import Removed


class RouterError(Exception):
    """A refusal that the caller can do something about."""

    status = "UNKNOWN"
    reason = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that breaks a rule, and how to mend it."""

    field: str
    description: str


class InvalidRequest(RouterError):
    """The request breaks a rule of the contract."""

    status = "INVALID_ARGUMENT"
    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))


class UnknownProfile(RouterError):
    """No profile has this name."""

    status = "NOT_FOUND"
    reason = "UNKNOWN_PROFILE"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no profile {name!r}; the profiles are {', '.join(known)}.")


class UnknownDecision(RouterError):
    """No decision with this id is kept."""

    status = "NOT_FOUND"
    reason = "UNKNOWN_DECISION"

    def __init__(self, decision_id: str) -> None:
        super().__init__(f"There is no decision {decision_id!r}, or it is no longer kept.")


class NoCandidate(RouterError):
    """Hard filters removed every candidate."""

    status = "FAILED_PRECONDITION"
    reason = "NO_CANDIDATE"

    def __init__(self, removed: Sequence[Removed]) -> None:
        self.removed = tuple(removed)
        if not self.removed:
            text = "The profile has no candidates: none of its names or globs matches a model of the catalogue."
        else:
            by_filter: dict[str, list[Removed]] = {}
            for entry in self.removed:
                by_filter.setdefault(entry.filter, []).append(entry)
            parts = [_filter_sentence(name, entries) for name, entries in by_filter.items()]
            text = "No candidate meets the requirements: " + "; ".join(parts) + "."
        super().__init__(text)

    def most_telling(self, most: int) -> list[Removed]:
        """At most so many of the removed; what the caller cannot reach says least, so it is the first to be left out."""
        return sorted(self.removed, key=lambda entry: entry.filter == "provider")[:most]


class LedgerUnavailable(RouterError):
    """The ledger's database cannot be asked now."""

    status = "UNAVAILABLE"
    reason = "LEDGER_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The ledger's database cannot be asked now; decisions are still made. Try again later.")


class InternalError(RouterError):
    """A mistake of the router's own; what it was stands in the log alone, for its text may hold a prompt's."""

    status = "INTERNAL"
    reason = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__("The router made a mistake with this request; its log says where. Report it, or ask again.")


class InvalidConfiguration(Exception):
    """The catalogue or a profile cannot be used; the message names the file's field."""


class MigrationImpossible(Exception):
    """The ledger's tables are at a migration that this release does not know, or are not to be had for one."""


def _filter_sentence(name: str, entries: Sequence[Removed]) -> str:
    shown = ", ".join(entry.model for entry in entries[:3])
    more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""  # noqa: PLR2004
    return f"filter {name!r} removed {shown}{more} ({entries[0].detail})"
