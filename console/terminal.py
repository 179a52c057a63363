"""How the commands talk: tables as wide as the terminal, plain text where none reads, problems on the error output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Columns of a line where it is not a terminal that says so.
WIDTH = 120


def console() -> Console:
    """Where results go; Rich leaves colours out where it is no terminal, or NO_COLOR is set."""
    # What is shown may be a client's words: brackets and colons in it mean nothing.
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False, emoji=False)


def tell(text: str) -> None:
    """A word beside the results."""
    typer.echo(text, err=True)


def fail(problem: str) -> NoReturn:
    """Say what is wrong, and end with 1."""
    tell(problem)
    raise typer.Exit(1)


def print_json(value: Any) -> None:
    """One document, to be read by a program."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Progress]:
    """A bar on the error output while something takes its time; nothing where that is no terminal, and nothing afterwards."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        bar.add_task(what, total=total)
        yield bar
