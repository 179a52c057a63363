"""The conversation about a training: what there is to train on, what would be sent, and where the result belongs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from console.configuration import (
    ConfigurationProblem,
    files_of,
    is_named,
    replace_file,
    with_checked_preference,
    write_preference,
)
from console.terminal import progress
from router_service import settings
from router_service.errors import InvalidConfiguration
from router_service.records import Query
from router_service.settings import Settings
from router_service.training import Dataset, Submission, SubmissionFailed, read_dataset

FEWEST, ADVISED, FEWEST_MODELS = 25, 50, 2
CONTENTS = (
    "Set ROUTER_LEDGER_CONTENTS=clipped, so that the ledger keeps the first 500 characters of each message; turns from "
    "then on can be trained on."
)

INCOMPLETE = (
    "Not Diamond documents complete rows, the score and the response of every model for every prompt. A row here has one "
    "score, that of the model that answered first, and no response: the router never sees replies. A second model's reply is "
    "left out, for it is asked only where the first has failed, and would seem weaker than it is. Each model's scores are of "
    "the prompts that it was chosen for."
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
    if not dataset.turns:
        raise TrainProblem(_nothing(dataset, configured))
    try:
        if options.out is None:
            _have_trained(options, configured, dataset)
        else:
            _export(dataset, options.out)
    except (SubmissionFailed, ConfigurationProblem) as error:
        raise TrainProblem(str(error)) from None


def _nothing(dataset: Dataset, configured: Settings) -> str:
    """Why there is nothing to train on, and what to do."""
    if dataset.without_prompt or configured.ledger_contents != "clipped":
        return (
            f"The ledger holds no prompts to train on ({dataset.without_prompt} turns without their text). {CONTENTS}"
        )
    told = "".join(f" {line}" for line in _left_out(dataset))
    return f"The ledger holds no turns to train on.{told} They gather as Aider's requests tell how its replies fared."


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
        with_checked_preference(options.config, files_of(configured.config), options.profile, "to-be-trained")
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
        _keep(options, files_of(configured.config), preference)
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
        raise TrainProblem(
            f"Only {', '.join(dataset.models)} has scores; a router chooses among two models or more. First replies of another "
            "model gather under another profile or trade-off, or with learning on."
        )


def _tell(dataset: Dataset) -> None:
    """The size of the data, and what it lacks."""
    typer.echo(f"{len(dataset.turns)} turns, each with the first reply of one of {len(dataset.models)} models:")
    for model in dataset.models:
        scores = [turn.score for turn in dataset.turns if turn.model == model]
        typer.echo(f"  {model}: {len(scores)} scores, {sum(scores):.0f} applied")
    for line in _left_out(dataset):
        typer.echo(line)
    typer.echo(INCOMPLETE)


def _left_out(dataset: Dataset) -> list[str]:
    told = (
        (dataset.without_prompt, "turns have no stored prompt and are left out."),
        (dataset.withheld, "replies are left out: their profiles let no text out to Not Diamond."),
        (dataset.scripted, "replies are left out: scripted demo models gave them."),
        (
            dataset.slugs,
            "replies are left out: their models' providers (@...) are names that Not Diamond does not know.",
        ),
    )
    return [f"{number} {what}" for number, what in told if number]


def _wait(submission: Submission, preference: str, dataset: Dataset, seconds: float) -> None:
    if not seconds:
        return
    typer.echo("Training takes 5 to 15 minutes. Waiting until Not Diamond takes the preference_id ...")
    with progress("Waiting for Not Diamond"):
        taken = submission.wait(preference, dataset, seconds, time.monotonic, time.sleep)
    if taken:
        typer.echo("It does. While the training goes on its answers may be its default choice.")
    else:
        typer.echo("Not yet; a request with it will say. Until then the router decides by its local policy.")


def _keep(options: Options, files: Sequence[Path], preference: str) -> None:
    """Write the preference_id where the user says."""
    line = f'preference_id = "{preference}"'
    if options.config is None:
        typer.echo(f"To use it, set {line} in [profiles.{options.profile}] of a file that ROUTER_CONFIG names.")
        return
    if not options.yes and not typer.confirm(f"Write {line} into [profiles.{options.profile}] of {options.config}?"):
        return
    copied = write_preference(options.config, files, options.profile, preference)
    in_use = is_named(options.config, files)
    told = "a running router takes it up by itself" if in_use else "name the file last in ROUTER_CONFIG to use it"
    typer.echo(f"Written; {told}.")
    if copied:
        typer.echo(
            "The file holds a copy of the shipped profile now; what a later release changes in it does not reach it."
        )
