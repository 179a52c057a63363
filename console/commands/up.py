"""`up`: the whole system on this machine, as `make run` starts it."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import typer

from console.entry import lacking
from console.home import INSTALLED, ROOT, VARIABLE, make_home, unusable
from console.options import setup_of
from console.terminal import fail

# Of all the extras `run` alone has it; the launcher is another program, and would not say so.
NEEDED = "honcho"


def up(context: typer.Context) -> None:
    """Start the whole system here, and say how to use it; Ctrl-C stops it.

    It is what `make run` does once everything is installed. Installed from a wheel, it first installs the Portkey gateway
    (npm) where that is missing; settings (.env), keys and decisions are in ~/.local/share/aider-model-router, or in the
    folder that AIDER_MODEL_ROUTER_HOME names.
    """
    setup = setup_of(context)
    sys.stdout.flush()
    if INSTALLED and find_spec(NEEDED) is None:
        fail(lacking(NEEDED))
    try:
        if INSTALLED:
            make_home()
        os.chdir(ROOT)
    except OSError as error:
        fail(unusable(error))
    environment = {**setup.environment, VARIABLE: str(ROOT)} if INSTALLED else dict(setup.environment)
    os.execve(sys.executable, [sys.executable, "-m", "launcher"], environment)  # noqa: S606 - it takes our place
