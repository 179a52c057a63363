"""Installed from a wheel: makes the user's folder what a checkout is to the launcher, the Portkey gateway in it included."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from launcher.errors import LaunchError
from launcher.node import find_node
from launcher.processes import ORDINARY, PROXIES, TRUST

# Wheels alone have this folder.
PACKED = Path(__file__).absolute().with_name("packed")
HOME = "AIDER_MODEL_ROUTER_HOME"
# What the gateway's packages are made from; scripts/bootstrap.sh stamps them with the same sum.
LOCKS = ("package.json", "package-lock.json")
STAMP = Path("node_modules", ".bootstrap.stamp")
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


def is_installed() -> bool:
    """Whether this came from a wheel, and lies in no checkout."""
    return PACKED.is_dir()


def prepare(environment: Mapping[str, str]) -> Path:
    """The user's folder, which `amr up` names, with this release's files in it."""
    named = environment.get(HOME)
    if not named:
        raise LaunchError(f"{HOME} names no folder for settings, decisions and the Portkey gateway; `amr up` sets it.")
    folder = Path(named)
    try:
        # What was here of an earlier release is replaced; .env, config/ and var/ are the user's.
        for file in (found for found in PACKED.rglob("*") if found.is_file()):
            place = folder / file.relative_to(PACKED)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        (folder / "config").mkdir(exist_ok=True)
    except OSError as error:
        raise LaunchError(f"{folder} cannot be written to: {error}; {HOME} names another folder.") from error
    return folder


def install_gateway(folder: Path) -> None:
    """Install the Portkey gateway into the user's folder, by the packed lock; nothing is done where it is there."""
    portkey = folder / "portkey"
    wanted = hashlib.sha256(b"".join((portkey / name).read_bytes() for name in LOCKS)).hexdigest()
    stamp = portkey / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == wanted:
        return
    node = find_node()
    if not node.npm:
        raise LaunchError(f"{node.executable} has no npm beside it; install npm to install the Portkey gateway.")
    print(f"Installing the open-source Portkey gateway into {portkey} ...", flush=True)
    path = os.pathsep.join((str(Path(node.executable).parent), os.environ.get("PATH", os.defpath)))
    environment = {name: value for name, value in os.environ.items() if _is_npms(name)} | {"PATH": path}
    done = subprocess.run([*node.npm, *NPM_CI], cwd=portkey, env=environment, check=False)
    if done.returncode:
        raise LaunchError(
            "The Portkey gateway could not be installed; npm's message is above. Check the network and npm's settings "
            "(proxy, registry), then start again; PORTKEY_API_KEY or PORTKEY_BASE_URL name a gateway that runs elsewhere."
        )
    stamp.write_text(f"{wanted}\n", encoding="utf-8")


def _is_npms(variable: str) -> bool:
    """Whether npm may know a variable: of the providers' keys it shall know none."""
    return variable in ORDINARY | TRUST | PROXIES or variable.upper().startswith("NPM_")
