"""Asks for known vulnerabilities of all that is locked: `make audit`.

0: everything was looked up and nothing found; 1: something was found; 3: something could not be looked up, which is no pass.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launcher.errors import LaunchError
from launcher.node import find_node

ROOT = Path(__file__).resolve().parent.parent
# dev holds all that ships, in the same versions, and the tools; Aider's own pins are Aider's.
LOCKS = ("requirements/dev.txt",)
NODE_LOCKS = ("portkey",)
CLEAN, FOUND, NOT_LOOKED_UP = 0, 1, 3


@dataclass
class Result:
    """What one lock came to: packages looked up, vulnerabilities, and why others could not be looked up."""

    lock: str
    looked_up: int = 0
    vulnerabilities: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def main() -> int:
    """Print what was found, lock by lock."""
    results = [python_lock(lock) for lock in LOCKS] + [node_lock(folder) for folder in NODE_LOCKS]
    for result in results:
        found, unknown = len(result.vulnerabilities), len(result.unknown)
        print(f"{result.lock}: {result.looked_up} looked up, {found} vulnerabilities, {unknown} not looked up")
        for line in result.vulnerabilities:
            print(f"  {line}")
        for line in result.unknown[:3]:
            print(f"  not looked up: {line}")
    passed_over = any(result.unknown or not result.looked_up for result in results)
    if passed_over:
        print("NOT AUDITED: the advisories of all or some of it could not be had, so this is no pass.")
    if any(result.vulnerabilities for result in results):
        return FOUND
    return NOT_LOOKED_UP if passed_over else CLEAN


def python_lock(lock: str) -> Result:
    """Packages of a lock by PyPI's advisories; one that the index does not know is told, and not passed over."""
    words = ("--requirement", lock, "--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")
    done = run([sys.executable, "-m", "pip_audit", *words], ROOT)
    result = Result(lock)
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        result.unknown.append(last_line(done.stderr))
        return result
    for package in told["dependencies"]:
        if "skip_reason" in package:
            result.unknown.append(package["skip_reason"])
            continue
        result.looked_up += 1
        for found in package["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no release yet"
            result.vulnerabilities.append(f"{package['name']} {package['version']}: {found['id']}, mended in {mended}")
    return result


def node_lock(folder: str) -> Result:
    """Packages of an npm lock by the registry's advisories."""
    result = Result(f"{folder}/package-lock.json")
    try:
        npm = find_node().npm
    except LaunchError as error:
        result.unknown.append(str(error))
        return result
    done = run([*npm, "audit", "--package-lock-only", "--json"], ROOT / folder)
    try:
        told: dict[str, Any] = json.loads(done.stdout)
        result.looked_up = told["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError):
        result.unknown.append(last_line(done.stderr))
        return result
    for name, found in told["vulnerabilities"].items():
        result.vulnerabilities.append(f"{name} {found['range']}: {found['severity']}")
    return result


def run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def last_line(text: str) -> str:
    """What a program said last of what went wrong."""
    told = [line for line in text.splitlines() if line.strip() and "complete log" not in line]
    return told[-1].strip()[:300] if told else "it said nothing"


if __name__ == "__main__":
    sys.exit(main())
