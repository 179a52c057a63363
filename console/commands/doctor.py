"""`doctor` and `config check`: what is well, what is not, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.options import AsJson, setup_of
from console.terminal import console, print_json, progress

if TYPE_CHECKING:
    from console.doctor import Finding

config = typer.Typer(no_args_is_help=True, help="Check the settings and the files that they name.")


def doctor(
    context: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask Not Diamond and hosted Portkey, where keys for them are set.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything the system needs: what is installed and set, who answers, and what to do about the rest.

    Before the first start it says what would go wrong, beside a running system what does. No key is ever printed, and
    nothing beyond this machine and the addresses in the settings is asked. It ends with 1 when there is a problem.

    \b
    amr doctor
    amr doctor --json | jq '.findings[] | select(.level == "problem")'
    """
    from console.doctor import examine  # noqa: PLC0415

    with progress("Looking …") as bar:
        task = bar.task_ids[0]
        found = examine(
            setup_of(context),
            online=online,
            step=lambda what: bar.update(task, description=f"Looked at {what}", advance=1),
        )
    _report(found, as_json=as_json)


@config.command("check")
def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Have the services' own loaders read .env, ROUTER_CONFIG, EDGE_CONFIG and the keys file, without starting anything.

    Each problem names the file or the variable, and the field. It ends with 1 when there is one.

    \b
    amr config check
    amr --env-file staging.env config check
    """
    from console.doctor import check_settings  # noqa: PLC0415

    with progress("Reading …"):
        found = check_settings(setup_of(context))
    _report(found, as_json=as_json)


def _report(found: list[Finding], *, as_json: bool) -> None:
    from console.doctor.report import as_document, exit_code, show  # noqa: PLC0415

    if as_json:
        print_json(as_document(found))
    else:
        show(found, console())
    raise typer.Exit(exit_code(found))
