"""`aider`: Aider's three files for the router's profiles, and Aider itself with them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from console.options import CLIENT_KEY, USUAL_ROUTER, AsJson, ClientKey, Edge, Router, edge_address, setup_of
from console.terminal import fail, print_json, tell

FOLDER = Path(".aider-model-router")


def aider(  # noqa: PLR0913, PLR0917  each is an option
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="With --launch: what Aider gets, behind --.", metavar="[-- ARGS]")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder that gets the files.")] = FOLDER,
    profile: Annotated[str, typer.Option(help="The profile that Aider asks for.")] = "auto",
    launch: Annotated[bool, typer.Option("--launch", help="Start Aider with the files.")] = False,
    program: Annotated[
        str, typer.Option("--aider", help="Aider's program; else the shell's, else .venv-aider's.")
    ] = "",
    key: ClientKey = "",
    edge: Edge = "",
    router: Router = USUAL_ROUTER,
    as_json: AsJson = False,
) -> None:
    """Write Aider's configuration for the router's profiles, and start Aider with it.

    Profiles of your own get their entries too. Each start is a session of its own (OPENAI_PROJECT_ID).

    \b
    amr aider
    amr aider --launch -- hello.py
    amr aider --profile auto-architect --launch -- --architect
    """
    if arguments and not launch:
        raise typer.BadParameter("these are for Aider: give --launch as well", param_hint="ARGS")
    if launch and as_json:
        raise typer.BadParameter(
            "Aider takes the place of this command, so there is nothing to print", param_hint="--json"
        )
    from console.aider_files import CONFIG, METADATA, SETTINGS  # noqa: PLC0415
    from console.aider_files import arguments as named  # noqa: PLC0415

    setup = setup_of(context)
    address = edge_address(edge, setup.environment)
    names = _write(out, address, profile, router, setup.environment)
    if launch:
        if "EDGE_API_KEYS_FILE" in setup.environment and not key:
            tell(f"The edge asks for keys: set {CLIENT_KEY} to one of them (`amr keys make NAME` makes one).")
        _launch(program, [*named(out.resolve(), address, profile, names), *(arguments or ())], key, setup.shell)
    if as_json:
        files = [str(out.resolve() / name) for name in (CONFIG, SETTINGS, METADATA)]
        print_json({"files": files, "edge": f"{address}/v1", "profile": profile, "profiles": names})
        return
    typer.echo(f"{out} holds Aider's files for {', '.join(names)}.")
    shown = " ".join(["aider", "--config", shlex.quote(str(out / CONFIG))])
    typer.echo(
        f"Start Aider with it: amr aider --launch, or\n  LITELLM_LOCAL_MODEL_COST_MAP=True {shown} --openai-api-key KEY"
    )


def _write(out: Path, address: str, profile: str, router: str, environment: Mapping[str, str]) -> list[str]:
    """The names of the profiles that the files are for."""
    from console.aider_files import write_files  # noqa: PLC0415
    from console.edge import ready  # noqa: PLC0415
    from console.router import RouterProblem, connected  # noqa: PLC0415
    from console.router.offers import offers  # noqa: PLC0415

    try:
        with connected(router, environment) as asked:
            offered = offers(asked)
    except RouterProblem as problem:
        fail(str(problem))
    names = [one.name for one in offered]
    if profile not in names:
        fail(f"The router has no profile {profile}; it has {', '.join(names)}.")
    state = ready(address)
    if state is None:
        tell(f"No edge answers at {address} yet; the files name it all the same.")
    try:
        write_files(out, address, profile, offered, frozenset(map(str, (state or {}).get("providers", []))))
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}.")
    return names


def _launch(given: str, arguments: list[str], key: str, shell: Mapping[str, str]) -> None:
    from console.aider_program import VARIABLE, find_aider, start  # noqa: PLC0415

    program = find_aider(given, shell)
    if program is None:
        where = given or shell.get(VARIABLE) or "the shell's PATH and .venv-aider"
        fail(
            f"There is no Aider ({where}). `pip install aider-chat` or `make aider` installs it; --aider names another."
        )
    try:
        start(program, arguments, key, shell)
    except OSError as error:
        fail(f"{program} cannot be started: {error.strerror}.")
