"""Reads the ledger's turns, leaves out what Not Diamond may not see, and writes the file that it trains on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from router_service import clipping
from router_service.catalog import Catalog, Profile, names_a_slug
from router_service.domain import Decision, Message
from router_service.errors import InvalidConfiguration
from router_service.ledger import IN_MEMORY, reads
from router_service.ledger.database import open_for_reading, sentence
from router_service.policy import UNNAMED
from router_service.records import Query
from router_service.training.turns import Turn, first_replies

# The latest replies that are read; Not Diamond advises 50 to 100 rows.
MOST_REPLIES = 20_000
PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Turns with a prompt, and what was left out.

    `without_prompt`: turns without one; `withheld`: first replies whose profile lets nothing out; `scripted`: first replies
    of the demo models, which are no models; `slugs`: first replies of models whose provider is a name of the operator's own.
    """

    turns: tuple[Turn, ...]
    without_prompt: int = 0
    withheld: int = 0
    scripted: int = 0
    slugs: int = 0

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have a score, by name."""
        return tuple(sorted({turn.model for turn in self.turns}))

    def only(self, models: Collection[str]) -> Dataset:
        """The data of these models alone."""
        return replace(self, turns=tuple(turn for turn in self.turns if turn.model in models))

    def as_csv(self) -> str:
        """A row a turn: the prompt, and each model's score and response; a model that did not answer first has neither.

        The responses are empty: the router never sees them.
        """
        text, models = io.StringIO(), self.models
        writer = csv.writer(text)
        writer.writerow([PROMPT, *(f"{model}/{column}" for model in models for column in ("score", "response"))])
        for turn in self.turns:
            cells = [cell for model in models for cell in (turn.score if model == turn.model else "", "")]
            writer.writerow([turn.prompt, *cells])
        return text.getvalue()

    def providers(self) -> str:
        """The models in Not Diamond's words."""
        named = (model.split("/", 1) for model in self.models)
        return json.dumps([{"provider": provider, "model": name} for provider, name in named])


def read_dataset(url: str, query: Query, catalog: Catalog) -> Dataset:
    """The ledger's turns that may be sent to Not Diamond; InvalidConfiguration says why the ledger cannot be read.

    Nothing is written to it: a ledger of another release is left as it is.
    """
    _require_database(url)
    engine = open_for_reading(url)
    try:
        with engine.connect() as connection:
            replies = reads.judged(connection, query, MOST_REPLIES)
    except SQLAlchemyError as error:
        raise InvalidConfiguration(f"The ledger cannot be read: {sentence(error, engine.url)}") from None
    finally:
        engine.dispose()
    first = [(decision, verdict) for decision, verdict in replies if verdict.first]
    real = [(decision, verdict) for decision, verdict in first if not _is_scripted(verdict.model, catalog)]
    allowed = [
        (_let_out(decision, profile), verdict)
        for decision, verdict in real
        if (profile := _profile_of(decision, catalog)) is not None
    ]
    named = [(decision, verdict) for decision, verdict in allowed if not names_a_slug(verdict.model)]
    turns = first_replies(named)
    kept = tuple(turn for turn in turns if turn.prompt)
    return Dataset(
        turns=kept,
        without_prompt=len(turns) - len(kept),
        withheld=len(real) - len(allowed),
        scripted=len(first) - len(real),
        slugs=len(allowed) - len(named),
    )


def _require_database(url: str) -> None:
    if url in IN_MEMORY:
        raise InvalidConfiguration(
            "ROUTER_LEDGER_URL: this ledger is in the router's memory; give it a database and let turns gather there."
        )
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        return  # opening it says what is wrong
    if address.get_backend_name() == "sqlite" and address.database and not Path(address.database).exists():
        raise InvalidConfiguration(f"ROUTER_LEDGER_URL: there is no ledger at {address.database} yet.")


def _is_scripted(name: str, catalog: Catalog) -> bool:
    model = catalog.by_id.get(name)
    return model is not None and model.prior_kind == "scripted"


def _profile_of(decision: Decision, catalog: Catalog) -> Profile | None:
    """The profile that decided, if it lets texts out to Not Diamond; one that is gone is not asked any more."""
    profile = catalog.profiles.get(decision.policy) if decision.policy else UNNAMED
    if profile is None or not profile.not_diamond or profile.privacy == "features_only":
        return None
    return profile


def _let_out(decision: Decision, profile: Profile) -> Decision:
    """The decision with its messages as the profile would send them."""
    messages: tuple[Message, ...] = clipping.clip(decision.request.messages, profile.privacy)
    return structs.replace(decision, request=structs.replace(decision.request, messages=messages))
