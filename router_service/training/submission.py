"""Sends a training file to Not Diamond, and waits until it takes the preference_id that it answered with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from router_service.not_diamond import HOSTED, NotDiamond, describe
from router_service.training.dataset import PROMPT, Dataset

if TYPE_CHECKING:
    from notdiamond import NotDiamond as Client

# In seconds: for a file, for anything else, between two questions.
UPLOAD, ANSWER, INTERVAL = 120.0, 10.0, 20.0
LONGEST_ID = 128


class SubmissionFailed(Exception):
    """Not Diamond did not take the training; the text says why."""


class Submission:
    """Not Diamond's training service, for one key."""

    def __init__(self, api_key: str, base_url: str | None) -> None:
        # Importing the SDK takes half a second.
        from notdiamond import NotDiamond as Client  # noqa: PLC0415

        self._key, self._url = api_key, base_url or HOSTED
        # Never twice: a file that was taken although its answer was lost would be trained on twice.
        self._client: Client = Client(api_key=api_key, base_url=self._url, max_retries=0)

    def known(self) -> frozenset[str] | None:
        """The models that Not Diamond knows, by id; None when it does not say."""

        async def ask() -> frozenset[str] | None:
            client = NotDiamond(self._key, self._url)
            try:
                models = await client.models(ANSWER)
            finally:
                await client.close()
            return None if models is None else frozenset(model.id for model in models)

        return asyncio.run(ask())

    def submit(self, dataset: Dataset, language: str) -> str:
        """Have a custom router trained; its preference_id, which comes long before the training is over."""
        try:
            answer: object = self._client.custom_router.train_custom_router(
                dataset_file=("turns.csv", dataset.as_csv().encode("utf-8", "replace"), "text/csv"),
                language=language,
                llm_providers=dataset.providers(),
                maximize=True,
                prompt_column=PROMPT,
                timeout=UPLOAD,
            )
        except Exception as error:
            # The SDK raises its own tree and, on a broken answer, whatever its parser does.
            raise SubmissionFailed(f"Not Diamond did not take the training data: {describe(error)}.") from None
        preference = getattr(answer, "preference_id", None)
        if not isinstance(preference, str) or not 0 < len(preference) <= LONGEST_ID or not preference.isprintable():
            raise SubmissionFailed("Not Diamond's answer to the training data held no preference_id.")
        return preference

    def wait(
        self,
        preference: str,
        dataset: Dataset,
        seconds: float,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> bool:
        """Ask with the preference_id until it is taken, for so many seconds; whether it was.

        It is the way that Not Diamond's documentation names. It also says that an answer may be its default choice while
        the training goes on.
        """
        end = now() + seconds
        while not self._taken(preference, dataset):
            left = end - now()
            if left <= 0:
                return False
            sleep(min(INTERVAL, left))
        return True

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _taken(self, preference: str, dataset: Dataset) -> bool:
        offers: Any = json.loads(dataset.providers())
        try:
            answer: object = self._client.model_router.select_model(
                llm_providers=offers,
                messages=[{"role": "user", "content": "Rename a function."}],
                preference_id=preference,
                timeout=ANSWER,
            )
        except Exception:
            return False
        return bool(getattr(answer, "providers", None))
