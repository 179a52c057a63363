"""The conversation about a training: what there is to train on, what would be sent, and where the result belongs."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from console.configuration import ConfigurationProblem, replace_file, with_checked_preference
from router_service import settings
from router_service.domain import Query
from router_service.errors import InvalidConfiguration
from router_service.settings import Settings
from router_service.training import Dataset, Submission, SubmissionFailed, read_dataset

FEWEST, ADVISED, FEWEST_MODELS = 25, 50, 2
CONTENTS = (
    "Set ROUTER_LEDGER_CONTENTS=clipped, so that the ledger keeps the first 500 characters of each message; turns from "
    "then on can be trained on."
)


class TrainProblem(Exception):
    """There is nothing to train, or nobody took it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; `wait` is in seconds."""

    out: Path | None
    config: Path | None
    profile: str
    since: datetime | None
    tenant: str
    language: str
    wait: float
    yes: bool


def train(options: Options) -> None:
    """Export the ledger's turns and, where it is wished, have Not Diamond train on them; TrainProblem says why not."""
    try:
        configured = settings.load()
        known = settings.load_catalog(configured.config)
        since = options.since.timestamp() if options.since else 0.0
        query = Query(tenant=options.tenant, since=since)
        dataset = read_dataset(configured.ledger_url, query, known)
    except InvalidConfiguration as error:
        raise TrainProblem(str(error)) from None
    if not dataset.turns and (dataset.without_prompt or configured.ledger_contents != "clipped"):
        raise TrainProblem(
            f"The ledger holds no prompts to train on ({dataset.without_prompt} turns without their text). {CONTENTS}"
        )
    try:
        if options.out is None:
            _have_trained(options, configured, dataset)
        else:
            _export(dataset, options.out)
    except (SubmissionFailed, ConfigurationProblem) as error:
        raise TrainProblem(str(error)) from None


def _export(dataset: Dataset, out: Path) -> None:
    _tell(dataset)
    replace_file(out, dataset.as_csv())
    typer.echo(f"{out} holds them, prompts included; nothing was sent.")


def _have_trained(options: Options, configured: Settings, dataset: Dataset) -> None:
    _require_enough(dataset)
    if configured.not_diamond_key is None:
        raise TrainProblem("Set NOT_DIAMOND_API_KEY to have a custom router trained; --out only exports the data.")
    if options.config is not None:
        # What cannot be written is better known before anything is sent.
        with_checked_preference(options.config, options.profile, "to-be-trained")
    submission = Submission(configured.not_diamond_key.get_secret_value(), configured.not_diamond_url)
    try:
        offered = submission.known()
        if offered is not None:
            unknown = [model for model in dataset.models if model not in offered]
            dataset = dataset.only(offered)
            if unknown:
                typer.echo(f"Left out, for Not Diamond does not know them: {', '.join(unknown)}.")
        _require_enough(dataset)
        _tell(dataset)
        where = configured.not_diamond_url or "its hosted API"
        question = f"Send these {len(dataset.turns)} prompts and scores to Not Diamond ({where})?"
        if not options.yes and not typer.confirm(question):
            typer.echo("Nothing was sent.")
            return
        preference = submission.submit(dataset, options.language)
        typer.echo(f"Not Diamond took them. preference_id: {preference}")
        _wait(submission, preference, dataset, options.wait)
        _keep(options, preference)
    finally:
        submission.close()


def _require_enough(dataset: Dataset) -> None:
    rows = len(dataset.turns)
    if rows < FEWEST:
        told = f" {dataset.without_prompt} more have no stored prompt: {CONTENTS}" if dataset.without_prompt else ""
        raise TrainProblem(
            f"There are {rows} turns to train on; Not Diamond asks for at least {FEWEST} and advises {ADVISED} to 100. "
            f"They gather as Aider's requests tell how its replies fared.{told}"
        )
    if len(dataset.models) < FEWEST_MODELS:
        raise TrainProblem(f"Only {', '.join(dataset.models)} has scores; a router chooses among two models or more.")


def _tell(dataset: Dataset) -> None:
    """The size of the data, and what it lacks."""
    typer.echo(f"{len(dataset.turns)} turns with the replies of {len(dataset.models)} models:")
    for model in dataset.models:
        scores = [turn.scores[model] for turn in dataset.turns if model in turn.scores]
        typer.echo(f"  {model}: {len(scores)} scores, {sum(scores):.0f} applied")
    if dataset.without_prompt:
        typer.echo(f"{dataset.without_prompt} turns have no stored prompt and are left out.")
    if dataset.withheld:
        typer.echo(f"{dataset.withheld} replies are left out: their profiles let no text out to Not Diamond.")
    typer.echo("The response columns are empty: the router never sees replies.")


def _wait(submission: Submission, preference: str, dataset: Dataset, seconds: float) -> None:
    if not seconds:
        return
    typer.echo("Training takes 5 to 15 minutes. Waiting until Not Diamond takes the preference_id ...")
    if submission.wait(preference, dataset, seconds, time.monotonic, time.sleep):
        typer.echo("It does. While the training goes on its answers may be its default choice.")
    else:
        typer.echo("Not yet; a request with it will say. Until then the router decides by its local policy.")


def _keep(options: Options, preference: str) -> None:
    """Write the preference_id where the user says."""
    line = f'preference_id = "{preference}"'
    if options.config is None:
        typer.echo(f"To use it, set {line} in [profiles.{options.profile}] of a file that ROUTER_CONFIG names.")
        return
    if not options.yes and not typer.confirm(f"Write {line} into [profiles.{options.profile}] of {options.config}?"):
        return
    replace_file(options.config, with_checked_preference(options.config, options.profile, preference))
    named = [Path(part).resolve() for part in os.environ.get("ROUTER_CONFIG", "").split(os.pathsep) if part]
    in_use = options.config.resolve() in named
    told = "a running router takes it up by itself" if in_use else "name the file in ROUTER_CONFIG to use it"
    typer.echo(f"Written; {told}.")
