"""`keys make`, `keys list`, `keys revoke`: clients' keys."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from console.home import INSTALLED, ROOT, make_home, unusable
from console.options import KEYS_FILE, AsJson, KeysFile
from console.terminal import console, fail, print_json

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke clients' keys.")


@keys.command("make")
def make_key(  # noqa: PLR0913, PLR0917  each is an option
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    file: KeysFile = KEYS_FILE,
    tenant: Annotated[str, typer.Option(help="The tenant it belongs to; else it is one of its own.")] = "",
    models: Annotated[
        list[str] | None, typer.Option(help="A pattern of what it may ask for, such as 'auto*'; may be given again.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="Requests in any 60 seconds.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(help="Input and output tokens in any 60 seconds.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Requests under way at once.")] = None,
    budget_usd_per_day: Annotated[float | None, typer.Option(help="US dollars a UTC day.")] = None,
    budget_usd_per_month: Annotated[float | None, typer.Option(help="US dollars a UTC month.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it this once.

    \b
    amr keys make alice --models 'auto*' --budget-usd-per-day 5
    """
    from console import keys as kept  # noqa: PLC0415

    if INSTALLED and file.is_relative_to(ROOT):
        try:
            make_home()
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(unusable(error))
    amounts = (requests_per_minute, tokens_per_minute, parallel, budget_usd_per_day, budget_usd_per_month)
    wish = kept.Wish(tenant, tuple(models or ()), dict(zip(kept.LIMITS, amounts, strict=True)))
    try:
        key = kept.make(file, name, wish, datetime.now(UTC).date())
    except kept.KeysProblem as problem:
        fail(str(problem))
    if as_json:
        print_json({"name": name, "key": key, "file": str(file)})
        return
    typer.echo(f"The key of {name}, shown this once:\n{key}")
    typer.echo("Its holder sends it as `Authorization: Bearer KEY`; Aider: --openai-api-key KEY.")
    in_use = os.environ.get(kept.SETTING)
    if in_use and Path(in_use).resolve() == file.resolve():
        typer.echo(f"Written to {file}; a running edge takes it up within seconds.")
    else:
        typer.echo(f"Written to {file}; set {kept.SETTING}={file} and start the edge anew to have it ask for keys.")


@keys.command("list")
def list_keys(file: KeysFile = KEYS_FILE, as_json: AsJson = False) -> None:
    """List the keys, their limits, and which are revoked."""
    from console import keys as kept  # noqa: PLC0415

    try:
        if as_json:
            typer.echo(kept.as_json(file))
        else:
            console().print(kept.as_table(file))
    except kept.KeysProblem as problem:
        fail(str(problem))


@keys.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="Whose key it is.")], file: KeysFile = KEYS_FILE) -> None:
    """Revoke a key; its entry stays, for its name is not given again."""
    from console import keys as kept  # noqa: PLC0415

    try:
        revoked = kept.revoke(file, name)
    except kept.KeysProblem as problem:
        fail(str(problem))
    typer.echo(
        f"{name} is revoked; a running edge refuses it within seconds." if revoked else f"{name} was revoked already."
    )
