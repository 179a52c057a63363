"""`python -m scripts.release`: wheels, sdists, contract, lock, lists of others' software and images, into dist/.

`--without-images` leaves these out, and so does a machine without an engine, which is said.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tomllib
from pathlib import Path

from scripts import sbom
from scripts.release import contract, images, wheels
from scripts.release.distributions import DISTRIBUTIONS
from scripts.release.tracked import Source, Untracked, look

ROOT = Path(__file__).resolve().parents[2]
OLD = ("*.whl", "*.tar.gz", "*-requirements.txt", "images.txt", "SHA256SUMS")


def main(arguments: list[str]) -> int:
    """Build all, and say what came of it."""
    try:
        source = look(ROOT)
        out = ROOT / "dist"
        made = [*build(source, out), *sbom.write(out / "sbom", source.epoch)]
        made += [] if "--without-images" in arguments else list_images(source, out)
        _sums(made, out)
    except Untracked as error:
        print(error, file=sys.stderr)
        return 1
    changed = ", with files that are changed and not committed" if source.changed else ""
    print(f"From {source.revision or 'no git'}{changed}, as of {source.epoch} (SOURCE_DATE_EPOCH).")
    return 0


def build(source: Source, out: Path) -> list[Path]:
    """What is made of the sources alone; what was there of an earlier build is gone."""
    out.mkdir(parents=True, exist_ok=True)
    for old in (found for pattern in OLD for found in out.glob(pattern)):
        old.unlink()
    version = version_of(source.root)
    made = [file for distribution in DISTRIBUTIONS for file in wheels.build(distribution, source, out)]
    lock = out / f"aider_model_router-{version}-requirements.txt"
    shutil.copyfile(source.root / "requirements" / "run.txt", lock)
    return [*made, lock, contract.build(source, version, out)]


def version_of(root: Path) -> str:
    """The one version of all that is released; it stands in pyproject.toml."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def list_images(source: Source, out: Path) -> list[Path]:
    """Build the images and list their ids in a file; without an engine, say so."""
    try:
        images.require_engine()
    except images.NoEngine as reason:
        print(f"No images: {reason}")
        return []
    built = images.build(source, version_of(source.root))
    listed = out / "images.txt"
    listed.write_text("".join(f"{identity}  {name}\n" for name, identity in sorted(built.items())), encoding="utf-8")
    print(listed.read_text(encoding="utf-8"), end="")
    return [listed]


def _sums(made: list[Path], out: Path) -> None:
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(out)}\n" for file in sorted(made)]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    print("".join(lines), end="")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
