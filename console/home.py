"""Where things lie: in a checkout all in it; installed, what is only read beside the code, the rest in the user's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The user's folder of an installed system, where it is not to be the usual one.
VARIABLE = "AIDER_MODEL_ROUTER_HOME"
PACKAGES = Path(__file__).absolute().parent.parent
# Wheels alone have this folder.
_PACKED = PACKAGES / "launcher" / "packed"
INSTALLED = _PACKED.is_dir()
# What is only read: .env.example, and what the Portkey gateway is installed from.
SHIPPED = _PACKED if INSTALLED else PACKAGES
# What starts the system, what also installs what is missing, and what shows and makes keys; in sentences.
RUN = "`amr up`" if INSTALLED else "`make run`"
START = RUN if INSTALLED else f"{RUN} (or scripts/bootstrap.sh run)"
LIST_KEYS = "`amr keys list`" if INSTALLED else "`make keys ARGS=list`"
MAKE_KEY = "`amr keys make NAME`" if INSTALLED else '`make keys ARGS="make NAME"`'


def _home() -> Path:
    if not INSTALLED:
        return PACKAGES
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    # By XDG's rules a relative one does not count; it would name another folder wherever one stands.
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:
        return (data if data.is_absolute() else Path("~/.local/share").expanduser()) / "aider-model-router"
    except RuntimeError:
        sys.exit(f"This user has no home folder; {VARIABLE} names a folder for settings, keys and decisions.")


# Holds .env, config/, var/ and the Portkey gateway.
ROOT = _home()


def make_home() -> None:
    """Make the user's folder, which holds keys and prompts, for nobody else; OSError where that cannot be."""
    ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)


def unusable(error: OSError) -> str:
    """What to say where the folder cannot be used."""
    return f"{ROOT} cannot be used: {error.strerror}; {VARIABLE} names another folder."
