"""Keeps up with the models that Not Diamond knows, so that it is offered only those, at its own figures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from router_service.catalog import Model, names_a_slug
from router_service.not_diamond import NotDiamondModel

# In seconds. Not Diamond says its list may be kept for an hour.
INTERVAL = 3600.0
INTERVAL_AFTER_FAILURE = 60.0
BUDGET = 5.0


@dataclass(frozen=True, slots=True)
class Known:
    """The models Not Diamond knows, by id; None until it has said so once."""

    models: Mapping[str, NotDiamondModel] | None = None

    def offerable(self, models: Sequence[Model]) -> tuple[tuple[Model, ...], Mapping[str, str]]:
        """Which of our models may be offered, with Not Diamond's context and prices, and why the others may not.

        While nothing is known yet all are offered as they are, except those whose provider is a slug: which model of
        its own that might be would be a guess. The copies are for the offer alone: our limits and prices decide
        everything else.
        """
        kept: list[Model] = []
        dropped: dict[str, str] = {}
        for model in models:
            if names_a_slug(model.id):
                dropped[model.id] = f"{model.provider} is a name that Not Diamond does not know"
            elif self.models is None:
                kept.append(model)
            elif model.id in self.models:
                kept.append(_with_figures(model, self.models[model.id]))
            else:
                dropped[model.id] = "Not Diamond does not know it"
        return tuple(kept), dropped


class Lister(Protocol):
    """Whoever can say which models Not Diamond knows."""

    async def models(self, budget: float) -> tuple[NotDiamondModel, ...] | None:
        """The models within `budget` seconds; None when there is no usable answer."""


class ModelRefresh:
    """Asks at the start and then at intervals, sooner after a failure; keeps the last good answer in `known`."""

    def __init__(self, lister: Lister, *, interval: float = INTERVAL, budget: float = BUDGET) -> None:
        """`interval`: seconds from one question to the next; `budget`: seconds that one may take."""
        self.known = Known()
        self._lister = lister
        self._interval = interval
        self._budget = budget
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a task of the running loop; nobody has to wait for the first answer."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop asking; the lister is its owner's to close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> bool:
        """Ask once; whether there was a usable answer."""
        models = await self._lister.models(self._budget)
        if models is None:
            return False
        self.known = Known({model.id: model for model in models})
        return True

    async def _run(self) -> None:
        while True:
            answered = await self.refresh()
            await asyncio.sleep(self._interval if answered else min(self._interval, INTERVAL_AFTER_FAILURE))


def _with_figures(model: Model, known: NotDiamondModel) -> Model:
    figures = {
        "context_tokens": known.context_tokens,
        "input_usd_per_mtok": known.input_usd_per_mtok,
        "output_usd_per_mtok": known.output_usd_per_mtok,
    }
    return model.model_copy(update={name: value for name, value in figures.items() if value is not None})
