"""What the commands' options have in common, and what every command is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from console.home import INSTALLED, ROOT
from console.since import parse_since

ENV_FILE = ROOT / ".env"
# Of an installed system there is one; a checkout's is named from where one stands.
KEYS_FILE = ROOT / "config" / "keys.toml" if INSTALLED else Path("config/keys.toml")
USUAL_ROUTER = "127.0.0.1:50051"
USUAL_EDGE = "127.0.0.1:8080"
EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
# What a client of the edge shows; no service reads it.
CLIENT_KEY = "AIDER_MODEL_ROUTER_KEY"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the shell has set, and with it, behind it, what the file of settings says."""

    env_file: Path
    shell: Mapping[str, str]
    environment: Mapping[str, str]


Router = Annotated[str, typer.Option(envvar=["EDGE_ROUTER", "ROUTER_LISTEN"], help="The router's gRPC address.")]
Since = Annotated[str, typer.Option(help="Only what was decided since: a span such as 7d or 12h, or a date.")]
Tenant = Annotated[str, typer.Option(help="Only this tenant's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
KeysFile = Annotated[Path, typer.Option(envvar="EDGE_API_KEYS_FILE", help="The keys file.")]
Edge = Annotated[str, typer.Option(help="The edge's address, such as http://127.0.0.1:8080; else EDGE_LISTEN says.")]
ClientKey = Annotated[
    str, typer.Option(envvar=CLIENT_KEY, help="A client's key for the edge, where it asks for one.", show_default=False)
]


def setup_of(context: typer.Context) -> Setup:
    """What the command was started with."""
    setup = context.find_object(Setup)
    assert setup is not None  # noqa: S101 - the callback before every command makes it
    return setup


def edge_address(given: str, environment: Mapping[str, str]) -> str:
    """The edge's address as a client on this machine writes it, without a slash at its end."""
    if given:
        return (given if "://" in given else f"http://{given}").rstrip("/").removesuffix("/v1")
    host, _, port = (environment.get("EDGE_LISTEN") or USUAL_EDGE).rpartition(":")
    return f"http://{EVERY_INTERFACE.get(host, host)}:{port}"


def moment(text: str) -> datetime | None:
    """The moment that --since names; a usage error when it names none."""
    try:
        return parse_since(text, datetime.now().astimezone())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
