"""`amr` of an installed wheel: where what a command needs was not installed, it names the extra that brings it."""

from __future__ import annotations

import sys

OURS = ("console", "demo", "edge_gateway", "launcher", "protos", "router_client", "router_service")


def main() -> None:
    """Run the command that was called."""
    try:
        from console.__main__ import main as run  # noqa: PLC0415

        run()
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] in OURS:
            raise
        sys.exit(lacking(missing))


def lacking(module: str) -> str:
    """What to install where a module is missing."""
    return (
        f"This needs {module}, which is not installed. Install aider-model-router[run], which has all that the "
        "system needs; [console] alone has what `amr explain`, `decisions`, `savings` and `aider` need."
    )
