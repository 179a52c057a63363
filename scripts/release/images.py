"""Builds the images from what git tracks, with the engine that answers here, and lists what they came to."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from scripts.release.tracked import Source, Untracked

TARGETS = ("router", "edge", "portkey", "demo")
# As in docker-compose.yml: for builders behind a mirror or a proxy.
SECRETS = {"pip_conf": "PIP_CONF_FILE", "npmrc": "NPMRC_FILE", "ca": "BUILD_CA_FILE"}
BASES = ("PYTHON_IMAGE", "NODE_IMAGE")
CONTEXT = ("Dockerfile", ".dockerignore", "requirements", "protos", "router_service", "edge_gateway", "demo", "portkey")


class NoEngine(Exception):
    """No engine builds images here; the text says why."""


def require_engine() -> None:
    """Raise NoEngine unless an engine answers, and buildx is there to build with it."""
    for words in (("version",), ("buildx", "version")):
        try:
            done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=60)  # noqa: S607
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoEngine(f"docker does not run here ({type(error).__name__})") from None
        if done.returncode:
            raise NoEngine(f"`docker {' '.join(words)}` fails here: {' '.join(done.stderr.split())[-200:]}")


def build(source: Source, version: str, tag: str = "", *, cache: bool = True) -> dict[str, str]:
    """Image -> its id, which is the digest of its configuration and, by that, of its layers."""
    with tempfile.TemporaryDirectory() as name:
        context = Path(name)
        for path in source.below(*CONTEXT):
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.root / path, context / path)
        return {
            _name(target, tag or version): _build(source, version, tag or version, target, context, cache)
            for target in TARGETS
        }


def _name(target: str, tag: str) -> str:
    return f"aider-model-router-{target}:{tag}"


def _build(source: Source, version: str, tag: str, target: str, context: Path, cache: bool) -> str:
    words = ["--target", target, "--tag", _name(target, tag), "--provenance=false", "--sbom=false", "--load"]
    words += [] if cache else ["--no-cache"]
    words += ["--build-arg", f"SOURCE_DATE_EPOCH={source.epoch}"]
    words += [word for base in BASES if os.environ.get(base) for word in ("--build-arg", f"{base}={os.environ[base]}")]
    for label, value in labels(source, version).items():
        words += ["--label", f"org.opencontainers.image.{label}={value}"]
    for secret, variable in SECRETS.items():
        if os.environ.get(variable):
            words += ["--secret", f"id={secret},src={os.environ[variable]}"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source.epoch)}
    argv = ["docker", "buildx", "build", "--quiet", *words, str(context)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Untracked(f"The image {target} could not be built: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def labels(source: Source, version: str) -> dict[str, str]:
    """What an image says of itself beside its title and licence, by the names of the OCI's annotations."""
    created = datetime.fromtimestamp(source.epoch, UTC).isoformat().replace("+00:00", "Z")
    revision = source.revision + ("-changed" if source.changed else "")
    return {"version": version, "created": created} | ({"revision": revision} if revision else {})
