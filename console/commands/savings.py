"""`savings`: what routing saved, and how replies fared."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from console.options import USUAL_ROUTER, AsJson, Router, Since, Tenant, moment
from console.terminal import console, fail


def savings(
    router: Router = USUAL_ROUTER,
    since: Since = "",
    tenant: Tenant = "",
    profile: Annotated[str, typer.Option(help="Only this profile's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what routing saved, and how replies fared.

    \b
    amr savings --since 7d
    amr savings --tenant alice --json
    """
    from console import savings as shown  # noqa: PLC0415
    from console.router import RouterProblem, connected  # noqa: PLC0415

    try:
        with connected(router, os.environ) as asked:
            sums = asked.savings(since=moment(since), tenant=tenant, profile=profile)
    except RouterProblem as problem:
        fail(str(problem))
    if as_json:
        typer.echo(shown.as_json(sums))
        return
    out = console()
    if sums.rows:
        out.print(*shown.as_tables(sums))
    out.print(shown.in_words(sums), markup=False)
