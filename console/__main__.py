"""`aider-model-router`, `amr`, `python -m console`: the commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from dotenv import load_dotenv

from console.commands.aider import aider
from console.commands.decisions import decisions
from console.commands.doctor import config, doctor
from console.commands.explain import explain
from console.commands.keys import keys
from console.commands.savings import savings
from console.commands.train import train
from console.commands.up import up
from console.home import INSTALLED, ROOT
from console.options import ENV_FILE, Setup

# Of the settings, the files that commands open themselves.
FILES = ("EDGE_API_KEYS_FILE", "EDGE_ROUTER_CA", "EDGE_ROUTER_CERT", "EDGE_ROUTER_KEY")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
for command in (up, doctor, aider, explain, decisions, savings, train):
    app.command()(command)
app.add_typer(keys, name="keys")
app.add_typer(config, name="config")


@app.callback()
def read_environment(
    context: typer.Context,
    env_file: Annotated[
        Path, typer.Option(help="Settings that the environment does not hold are read here.")
    ] = ENV_FILE,
) -> None:
    """Aider Model Router: start it, look after it, and ask it why.

    It ends with 0 when all is well, 1 when something is wrong or cannot be done, and 2 when it was called wrongly.
    Colours are left out where NO_COLOR is set, or no terminal reads.
    """
    shell = dict(os.environ)
    try:
        load_dotenv(env_file)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        # `doctor` says so among the rest.
        typer.echo(f"{env_file} cannot be read ({type(error).__name__}), and is left out.", err=True)
    if INSTALLED and env_file == ENV_FILE:
        _place(shell)
    context.obj = Setup(env_file, shell, {name: value for name, value in os.environ.items() if value or name in shell})


def _place(shell: Mapping[str, str]) -> None:
    """Files that the user's .env names lie where the services are started by it, not where one happens to stand."""
    for name in FILES:
        if name not in shell and (named := os.environ.get(name)):
            os.environ[name] = str(ROOT / named)


def main() -> None:
    """Run under the name by which it was called."""
    name = Path(sys.argv[0]).name
    app(prog_name=name if name in ("amr", "aider-model-router") else "python -m console")


if __name__ == "__main__":
    main()
