"""Writes what each image holds of others' software, as CycloneDX: `make sbom` -> dist/sbom/IMAGE.cdx.json.

It is made from the locks, so it lists what is added to the base images, and not what these bring themselves. The same locks
and tools make the same bytes.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from launcher.node import find_node
from scripts.release.tracked import look

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "dist" / "sbom"
PYTHON_IMAGES = {"router": "router_service", "edge": "edge_gateway", "demo": "demo"}


def main() -> int:
    """Write all four, and say what they hold."""
    for path in write(OUT, look(ROOT).epoch):
        print(f"{path.relative_to(ROOT)}: {len(json.loads(path.read_text())['components'])} components")
    return 0


def write(out: Path, epoch: int) -> list[Path]:
    """Write all four into a folder, as of a time in seconds since 1970."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    documents = {image: python_image(lock) for image, lock in PYTHON_IMAGES.items()} | {"portkey": node_image(version)}
    for image, document in documents.items():
        named = document["metadata"]["component"]
        named |= {"name": f"aider-model-router-{image}", "version": version, "type": "application"}
        document["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat()
        # npm draws one at random.
        document.pop("serialNumber", None)
        path = out / f"{image}.cdx.json"
        path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
        made.append(path)
    return made


def python_image(lock: str) -> dict[str, Any]:
    """The packages of a lock, with their hashes."""
    words = ("requirements", f"requirements/{lock}.txt", "--pyproject", "pyproject.toml", "--output-reproducible")
    return json.loads(run([sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *words, "--of=JSON"], ROOT))


def node_image(version: str) -> dict[str, Any]:
    """The gateway's packages; npm wants a version of what holds them, and ours has none."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / "portkey" / name, folder)
        manifest = json.loads((Path(folder) / "package.json").read_text())
        (Path(folder) / "package.json").write_text(json.dumps({**manifest, "version": version}))
        words = ("sbom", "--sbom-format=cyclonedx", "--package-lock-only", "--omit=dev")
        return json.loads(run([*find_node().npm, *words], Path(folder)))


def run(argv: list[str], folder: Path) -> str:
    """What a program prints; its complaint goes to the terminal."""
    return subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
