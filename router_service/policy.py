"""What applies to one request: its candidates by name, its trade-off, whom to ask, and what to compare with; pure."""

from __future__ import annotations

import hashlib

from router_service.catalog import Catalog, Profile
from router_service.domain import Purpose, Request, Word
from router_service.errors import UnknownProfile

# Housekeeping: a cheap model does it well, and nobody should wait for a recommendation about it.
NEVER_CONSULTED = frozenset({Purpose.COMMIT, Purpose.SUMMARY, Purpose.CACHE_PING})
# The cost_quality_tradeoff that leaves quality out.
CHEAPEST = 10
# The policy for callers that name their own candidates.
UNNAMED = Profile(
    name="", candidates=("*",), cost_quality_tradeoff=3, purposes=dict.fromkeys(NEVER_CONSULTED, CHEAPEST)
)


class Policy(Word, frozen=True):
    """A profile applied to one request; `names` are its candidates in the profile's order."""

    profile: Profile
    names: tuple[str, ...]
    tradeoff: int
    consult: bool
    preference_id: str


def policy_for(request: Request, catalog: Catalog) -> Policy:
    """The policy of a request, after the profile's trial has been drawn; UnknownProfile when there is none."""
    profile = UNNAMED
    if request.profile:
        profile = _drawn(_named(request.profile, catalog), request, catalog)
    names = catalog.expand(profile) if request.profile else ((request.model,) if request.model else request.candidates)
    return apply(profile, names, request)


def is_noted(request: Request, catalog: Catalog) -> bool:
    """Whether the user is to be told of the choice: as the profile says that was asked for, also while a trial decides."""
    profile = catalog.profiles.get(request.profile)
    return profile is not None and profile.note


def apply(profile: Profile, names: tuple[str, ...], request: Request) -> Policy:
    """A profile's policy over given candidates."""
    own = request.cost_quality_tradeoff
    # One model is already at it, or has been named, or a cheap one will do: there is nothing to ask about.
    settled = request.model or request.continuation or request.purpose in NEVER_CONSULTED
    return Policy(
        profile=profile,
        names=names,
        tradeoff=profile.tradeoff_for(request.purpose) if own is None else own,
        consult=profile.not_diamond and profile.privacy != "features_only" and not settled,
        preference_id=request.preference_id or profile.preference_id,
    )


def _named(name: str, catalog: Catalog) -> Profile:
    try:
        return catalog.profiles[name]
    except KeyError:
        raise UnknownProfile(name, tuple(catalog.profiles)) from None


def _drawn(profile: Profile, request: Request, catalog: Catalog) -> Profile:
    """The profile, or the one on trial; a conversation always draws the same."""
    if profile.trial is None:
        return profile
    # Without a conversation the text decides, so that a repeated request is decided alike.
    seed = request.conversation_id or "".join(message.text for message in request.messages)
    digest = hashlib.sha256(f"{profile.name}\0{seed}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    return catalog.profiles[profile.trial.profile] if share < profile.trial.weight else profile
