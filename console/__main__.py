"""`python -m console`: the commands and their options."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from dotenv import load_dotenv
from rich.console import Console

from console import savings as shown
from console.router import RouterProblem, fetch_savings
from console.since import parse_since

# Columns of a line where it is not a terminal that says so.
WIDTH = 120
ENV_FILE = Path(__file__).absolute().parent.parent / ".env"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke clients' keys.")
app.add_typer(keys, name="keys")


class Language(StrEnum):
    """What Not Diamond takes for a custom router's language."""

    ENGLISH = "english"
    MULTILINGUAL = "multilingual"


Since = Annotated[str, typer.Option(help="Only what was decided since: a span such as 7d or 12h, or a date.")]
Tenant = Annotated[str, typer.Option(help="Only this tenant's.")]
KeysFile = Annotated[Path, typer.Option(envvar="EDGE_API_KEYS_FILE", help="The keys file.")]
KEYS_FILE = Path("config/keys.toml")


@app.callback()
def read_environment(
    env_file: Annotated[
        Path, typer.Option(help="Settings that the environment does not hold are read here.")
    ] = ENV_FILE,
) -> None:
    """What routing saved, the training of a custom Not Diamond router, and clients' keys."""
    load_dotenv(env_file)


@app.command()
def savings(
    router: Annotated[
        str, typer.Option(envvar=["EDGE_ROUTER", "ROUTER_LISTEN"], help="The router's gRPC address.")
    ] = "127.0.0.1:50051",
    since: Since = "",
    tenant: Tenant = "",
    profile: Annotated[str, typer.Option(help="Only this profile's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Say what routing saved, and how replies fared."""
    try:
        sums = fetch_savings(router, os.environ, _since(since), tenant, profile)
    except RouterProblem as problem:
        _fail(str(problem))
    if as_json:
        typer.echo(shown.as_json(sums))
        return
    console = _console()
    if sums.rows:
        console.print(*shown.as_tables(sums))
    console.print(shown.in_words(sums), markup=False)


@app.command()
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
    """Train a custom Not Diamond router on the turns in the ledger."""
    # The ledger's libraries take their time, and `savings` needs none of them.
    from console import train as training  # noqa: PLC0415

    start = _since(since)
    options = training.Options(out, config, profile, start, tenant, language.value, wait * 60, yes)
    try:
        training.train(options)
    except training.TrainProblem as problem:
        _fail(str(problem))


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
) -> None:
    """Make a key, and print it this once."""
    from console import keys as kept  # noqa: PLC0415

    amounts = (requests_per_minute, tokens_per_minute, parallel, budget_usd_per_day, budget_usd_per_month)
    wish = kept.Wish(tenant, tuple(models or ()), dict(zip(kept.LIMITS, amounts, strict=True)))
    try:
        key = kept.make(file, name, wish, datetime.now(UTC).date())
    except kept.KeysProblem as problem:
        _fail(str(problem))
    typer.echo(f"The key of {name}, shown this once:\n{key}")
    typer.echo("Its holder sends it as `Authorization: Bearer KEY`; Aider: --openai-api-key KEY.")
    in_use = os.environ.get(kept.SETTING)
    if in_use and Path(in_use).resolve() == file.resolve():
        typer.echo(f"Written to {file}; a running edge takes it up within seconds.")
    else:
        typer.echo(f"Written to {file}; set {kept.SETTING}={file} and start the edge anew to have it ask for keys.")


@keys.command("list")
def list_keys(
    file: KeysFile = KEYS_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """List the keys, their limits, and which are revoked."""
    from console import keys as kept  # noqa: PLC0415

    try:
        if as_json:
            typer.echo(kept.as_json(file))
        else:
            _console().print(kept.as_table(file))
    except kept.KeysProblem as problem:
        _fail(str(problem))


@keys.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="Whose key it is.")], file: KeysFile = KEYS_FILE) -> None:
    """Revoke a key; its entry stays, for its name is not given again."""
    from console import keys as kept  # noqa: PLC0415

    try:
        revoked = kept.revoke(file, name)
    except kept.KeysProblem as problem:
        _fail(str(problem))
    typer.echo(
        f"{name} is revoked; a running edge refuses it within seconds." if revoked else f"{name} was revoked already."
    )


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def _since(text: str) -> datetime | None:
    try:
        return parse_since(text, datetime.now().astimezone())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


def _fail(problem: str) -> NoReturn:
    typer.echo(problem, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m console")
