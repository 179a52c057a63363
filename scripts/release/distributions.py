"""The two distributions: what each holds, and its pyproject.toml, written from the checkout's so that nothing stands twice."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from packaging.dependency_groups import resolve_dependency_groups

NOTICES = ("LICENSE", "NOTICE")
# Extra -> dependency group.
EXTRAS = {"router": "router_service", "edge": "edge_gateway", "demo": "demo", "console": "console", "run": "run"}
CLIENT = "aider-model-router-client"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution: its name, its packages, its readme, and files that lie elsewhere in it (a folder goes with its files).

    `renamed`: a package that goes by another name in it -> that name.
    """

    name: str
    packages: tuple[str, ...]
    readme: str
    moved: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """Where a file of the checkout lies in it."""
        package, _, rest = path.partition("/")
        return f"{self.renamed[package].replace('.', '/')}/{rest}" if package in self.renamed else path

    def text(self, path: str, written: bytes) -> bytes:
        """A file of the checkout as it stands in it: imports name what has another name by that."""
        if not path.endswith((".py", ".pyi")):
            return written
        for package, name in self.renamed.items():
            written = re.sub(rb"\b%s\." % package.encode(), name.encode() + b".", written)
        return written


DISTRIBUTIONS = (
    # A program that asks the router may well have a package of its own by the name of `protos`.
    Distribution(
        CLIENT, ("router_client", "protos"), "scripts/release/client.md", renamed={"protos": "router_client.contract"}
    ),
    Distribution(
        "aider-model-router",
        ("router_service", "edge_gateway", "console", "launcher", "demo", "protos"),
        "README.md",
        # What `amr up` makes its folder from.
        {".env.example": "launcher/packed/.env.example", "portkey": "launcher/packed/portkey"},
    ),
)


def pyproject(distribution: Distribution, root: Path) -> str:
    """The distribution's own pyproject.toml, with nothing left to be found out later."""
    checkout = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    groups, project = checkout["dependency-groups"], dict(checkout["project"])
    project["readme"] = "README.md"
    if distribution.name == CLIENT:
        project |= _client(groups)
        del project["scripts"]
    else:
        project["dependencies"] = [f"{CLIENT}=={project['version']}"]
        project["optional-dependencies"] = {extra: _of(groups, group) for extra, group in EXTRAS.items()}
    return tomlkit.dumps(
        {
            "build-system": {"requires": _of(groups, "build"), "build-backend": "hatchling.build"},
            "project": project,
            "tool": {
                # What lies above the folder it is built in has no say.
                "hatch": {
                    "build": {
                        "ignore-vcs": True,
                        "targets": {
                            "wheel": {
                                "packages": [name for name in distribution.packages if name not in distribution.renamed]
                            }
                        },
                    }
                }
            },
        }
    )


def _client(groups: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": CLIENT,
        "description": "Asks Aider Model Router which model suits a prompt: a client, and the gRPC contract it speaks.",
        "keywords": ["llm", "model router", "grpc", "client"],
        # Others' programs have pins of their own; generated code runs with what it was made for, and later.
        "dependencies": [one.replace("==", ">=") for one in _of(groups, "client")],
    }


def _of(groups: Mapping[str, Any], name: str) -> list[str]:
    return sorted(set(resolve_dependency_groups(groups, name)))
