"""`train`: a custom Not Diamond router from the ledger's turns."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from console.home import INSTALLED, ROOT
from console.options import Since, Tenant, moment
from console.terminal import fail


class Language(StrEnum):
    """What Not Diamond takes for a custom router's language."""

    ENGLISH = "english"
    MULTILINGUAL = "multilingual"


def train(
    out: Annotated[Path | None, typer.Option(help="Write the training data to this file, and send nothing.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The ROUTER_CONFIG file that gets the preference_id; else it is only printed.")
    ] = None,
    profile: Annotated[str, typer.Option(help="The profile that gets the preference_id.")] = "auto",
    since: Since = "",
    tenant: Tenant = "",
    language: Annotated[Language, typer.Option(help="The prompts' language.")] = Language.ENGLISH,
    wait: Annotated[float, typer.Option(min=0, help="Minutes to wait until Not Diamond takes the preference_id.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: send, and write.")] = False,
) -> None:
    """Train a custom Not Diamond router on the turns in the ledger; asks before anything is sent.

    \b
    amr train --out turns.csv
    amr train --config config/router.toml --profile auto
    """
    # The ledger's libraries take their time, and no other command needs them.
    from console import train as training  # noqa: PLC0415

    if INSTALLED and ROOT.is_dir():
        out, config = out and out.absolute(), config and config.absolute()
        # The settings' own files, the ledger first of all, are named from there.
        os.chdir(ROOT)
    options = training.Options(out, config, profile, moment(since), tenant, language.value, wait * 60, yes)
    try:
        training.train(options)
    except training.TrainProblem as problem:
        fail(str(problem))
