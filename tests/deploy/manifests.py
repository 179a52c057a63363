"""Builds the manifests as `kubectl apply -k` would send them, and finds things in them."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = tuple(sorted(path.parent.name for path in (FOLDER / "overlays").glob("*/kustomization.yaml")))
PRODUCTION = tuple(name for name in OVERLAYS if name.startswith("production"))
MISSING = "kubectl is not installed; run: apt-get install kubernetes-client"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")

Document = Mapping[str, Any]


def kubectl() -> str:
    """The program; the test is left out, with the reason, where there is none."""
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip(MISSING)
    return found


def build(folder: Path) -> list[Document]:
    """What a folder's kustomization comes to."""
    # The folder is changed into, for the oldest one takes a path for an address when it begins with dots.
    done = subprocess.run([kubectl(), "kustomize", "."], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@dataclass(frozen=True)
class Manifests:
    """The documents of one overlay."""

    documents: tuple[Document, ...]

    def of(self, kind: str) -> dict[str, Document]:
        return {made["metadata"]["name"]: made for made in self.documents if made["kind"] == kind}

    def pods(self) -> dict[str, Document]:
        """The templates of all pods, by the name of what makes them."""
        made = {name: found["spec"]["template"] for kind in WORKLOADS for name, found in self.of(kind).items()}
        assert made
        return made

    def containers(self) -> Iterator[tuple[str, Document]]:
        for name, pod in self.pods().items():
            for container in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
                yield name, container

    def environment(self, pod: str) -> dict[str, str]:
        """What a pod's container gets of the ConfigMaps, by name; that it gets what Secrets hold is for the cluster."""
        (container,) = self.pods()[pod]["spec"]["containers"]
        told: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            if "configMapRef" in source:
                told |= self.of("ConfigMap")[source["configMapRef"]["name"]]["data"]
        return told | {entry["name"]: entry.get("value", "") for entry in container.get("env", ())}


@cache
def built(overlay: str) -> Manifests:
    return Manifests(tuple(build(FOLDER / "overlays" / overlay)))
