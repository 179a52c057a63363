"""`decisions`: past decisions as a table, or those that happen, line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from console.options import USUAL_ROUTER, AsJson, Router, Since, Tenant, moment, setup_of
from console.terminal import console, fail, print_json, tell


def decisions(  # noqa: PLR0913, PLR0917  each is an option
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show them as they happen, until Ctrl-C.")] = False,
    since: Since = "",
    tenant: Tenant = "",
    profile: Annotated[str, typer.Option(help="Only this profile's.")] = "",
    model: Annotated[str, typer.Option(help="Only those that chose this model, provider/model.")] = "",
    conversation: Annotated[str, typer.Option(help="Only this conversation's.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the latest.")] = 20,
    router: Router = USUAL_ROUTER,
    as_json: AsJson = False,
) -> None:
    """List past decisions, or follow those that are made.

    With --follow and --json each line is a document: {"decision": …} or {"outcome": …}. A router that restarts is waited for.

    \b
    amr decisions --since 1h --model demo/large
    amr decisions --follow
    """
    from console.router import RouterProblem, connected  # noqa: PLC0415
    from console.router.decisions import listed  # noqa: PLC0415
    from router_client import DecisionFilter  # noqa: PLC0415

    if follow and since:
        raise typer.BadParameter("is for past decisions; --follow shows those from now on", param_hint="--since")
    wanted = DecisionFilter(
        tenant=tenant, profile=profile, conversation_id=conversation, model=model, since=moment(since)
    )
    environment = setup_of(context).environment
    try:
        if follow:
            _follow(router, environment, wanted, as_json=as_json)
            return
        with connected(router, environment) as asked:
            found = listed(asked, wanted, limit)
    except RouterProblem as problem:
        fail(str(problem))
    if as_json:
        print_json({"decisions": found})
    elif found:
        from console.decisions import as_table  # noqa: PLC0415

        console().print(as_table(found))
    else:
        typer.echo("No such decision is kept.")


def _follow(router: str, environment: Mapping[str, str], wanted: Any, *, as_json: bool) -> None:
    from console.decisions import as_line  # noqa: PLC0415
    from console.following import Following  # noqa: PLC0415

    out = console()

    def show(kind: str, event: Mapping[str, Any]) -> None:
        if as_json:
            typer.echo(json.dumps({kind: event}, ensure_ascii=False))
        else:
            out.print(as_line(kind, event), markup=False, soft_wrap=True)

    if not as_json:
        tell("Following decisions; Ctrl-C ends it.")
    try:
        Following(wanted, show, tell).run(router, environment)
    except KeyboardInterrupt:
        return
