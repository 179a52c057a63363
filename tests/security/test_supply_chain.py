"""What others' software comes in: by hash, from no address of ours, not older than is safe, and nothing that runs unasked."""

import importlib.metadata
import json
import re
import site
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.processes import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
NODE_LOCKS = [ROOT / folder / "package-lock.json" for folder in ("portkey", "examples/node", "tests/clients/node")]
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
# Python runs these at every start. Each needs a reason.
KNOWN_PTH = {
    "distutils-precedence.pth": "setuptools, which grpcio-tools needs and Python 3.11 brings: it stands in for distutils",
    "_virtualenv.pth": "virtualenv, where it made the environment: it mends distutils for packages that install into prefixes",
}
# Below these there are known holes: multipart parts without a bound, chunk sizes, request smuggling.
FLOORS = {"starlette": (1, 3, 1), "h11": (0, 16), "aiohttp": (3, 14, 5)}
SERVICES = ("run", "router_service", "edge_gateway", "demo")


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def pinned(lock: Path) -> dict[str, str]:
    return dict(REQUIREMENT.findall(lock.read_text()))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_one_version_and_has_its_hashes(lock):
    entries = [entry for entry in re.split(r"\n(?=\S)", lock.read_text()) if not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert REQUIREMENT.match(entry), entry[:100]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:100]


@pytest.mark.parametrize("lock", [*LOCKS, *NODE_LOCKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_lock_names_an_address_to_fetch_from(lock):
    text = lock.read_text()
    assert not re.search(r'"resolved"|-index-url|--find-links|@ (https?|file|git)|\bgit\+', text)
    addresses = [line for line in text.splitlines() if "://" in line and '"url"' not in line]
    assert addresses == [], addresses[:3]


@pytest.mark.parametrize("lock", NODE_LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_package_for_node_has_its_hash(lock):
    packages = {name: entry for name, entry in json.loads(lock.read_text())["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")] == []


def test_the_server_of_the_gateway_is_the_one_that_is_known_to_stream():
    lock = json.loads((ROOT / "portkey" / "package-lock.json").read_text())["packages"]
    assert lock["node_modules/@hono/node-server"]["version"] == "1.14.1"
    assert lock["node_modules/@portkey-ai/gateway"]["version"] == "1.15.2"


@pytest.mark.parametrize("name", SERVICES)
def test_what_reads_strangers_requests_is_not_older_than_is_safe(name):
    found = pinned(ROOT / "requirements" / f"{name}.txt")
    for package, floor in FLOORS.items():
        if package in found:
            assert version(found[package]) >= floor, f"{package} {found[package]}"
    if name in ("run", "edge_gateway"):
        assert set(FLOORS) <= set(found)


def test_the_same_package_has_the_same_version_in_every_lock():
    """So that what is tested is what ships. Aider's environment is its own."""
    tested = pinned(ROOT / "requirements" / "dev.txt")
    for name in SERVICES:
        other = pinned(ROOT / "requirements" / f"{name}.txt")
        assert {package: found for package, found in other.items() if tested.get(package) != found} == {}


def test_nothing_runs_at_pythons_start_that_is_not_known():
    folders = {Path(folder) for folder in (*site.getsitepackages(), *sys.path) if folder.endswith("-packages")}
    found = {path.name for folder in folders for path in folder.glob("*.pth")}
    assert found <= set(KNOWN_PTH), f"{found - set(KNOWN_PTH)}: what do they run, and who brings them?"
    for module in ("sitecustomize", "usercustomize"):
        assert not [folder for folder in folders if (folder / f"{module}.py").exists()], module


def test_no_package_that_ships_brings_a_file_that_runs_at_pythons_start():
    """Of all that is installed here from the services' locks, whoever made the environment."""
    ships = {name.lower() for lock in SERVICES for name in pinned(ROOT / "requirements" / f"{lock}.txt")}
    seen = 0
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name in ships:
            seen += 1
            files = [str(file) for file in distribution.files or ()]
            assert not [file for file in files if file.endswith(".pth") or "customize.py" in file], name
    assert seen > 40


def test_packages_are_installed_by_hash_wherever_they_are_installed():
    """In the scripts and images; a Makefile's own lines too."""
    for path in ("scripts/bootstrap.sh", "Makefile", "Dockerfile"):
        text = (ROOT / path).read_text().replace("\\\n", " ")
        installs = [line for line in text.splitlines() if re.search(r"pip install (?!aider-chat)", line)]
        assert installs, path
        assert [line for line in installs if "--require-hashes" not in line] == [], path
        ways = [line for line in text.splitlines() if re.search(r"\bnpm (ci|install|i)\b", line)]
        assert [line for line in ways if "--ignore-scripts" not in line] == [], path


def test_no_action_or_hook_of_others_runs_in_ci():
    """CI is .ci/run: our own scripts and what the locks hold. There is nothing to pin."""
    assert not (ROOT / ".github").exists()
    assert {path.name for path in (ROOT / ".ci").iterdir()} == {"run"}
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", config) == ["local"]


@pytest.mark.parametrize(
    ("dependencies", "code", "says"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 looked up, 0 vulnerabilities, 0 not looked up"),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}],
            1,
            "a 1: PYSEC-1, mended in 2",
        ),
        ([{"name": "a", "skip_reason": "not found: a"}], 3, "NOT AUDITED"),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}], 3, "NOT AUDITED"),
        ([], 3, "NOT AUDITED"),
        (None, 3, "no route to the advisories"),
    ],
)
def test_an_audit_that_could_not_look_is_no_pass(tmp_path, dependencies, code, says):
    """pip-audit ends with success where it knows no package at all; the tools are stood in for by what they print."""
    printed = "not json" if dependencies is None else json.dumps({"dependencies": dependencies})
    (tmp_path / "pip_audit.py").write_text(
        f"import sys\nprint({printed!r})\nprint('no route to the advisories', file=sys.stderr)\n"
    )
    told = json.dumps({"vulnerabilities": {}, "metadata": {"dependencies": {"total": 1}}})
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\necho '{told}'\n")
    npm.chmod(0o755)
    path = f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.audit"],
        cwd=ROOT,
        env={"PATH": path, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, says in done.stdout) == (code, True), done.stdout + done.stderr


def test_each_image_has_its_list_of_packages():
    """Made by `make sbom` and `make dist`, which ask nobody; CI makes them before it tests."""
    made = ROOT / "dist" / "sbom"
    if not made.exists():
        pytest.skip("no dist/sbom here; make it with: make sbom")
    for image, lock in {"router": "router_service", "edge": "edge_gateway", "demo": "demo"}.items():
        document = json.loads((made / f"{image}.cdx.json").read_text())
        assert document["bomFormat"] == "CycloneDX"
        listed = {component["name"]: component["version"] for component in document["components"]}
        assert listed == pinned(ROOT / "requirements" / f"{lock}.txt")
    gateway = json.loads((made / "portkey.cdx.json").read_text())
    assert {"@portkey-ai/gateway@1.15.2", "@hono/node-server@1.14.1"} <= {
        component["bom-ref"] for component in gateway["components"]
    }


def test_the_linter_looks_for_unsafe_calls_everywhere_but_in_tests():
    """Ruff's S rules are bandit's; what is switched off is named here, so that it is not done in passing."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    off = {path: [rule for rule in rules if rule.startswith("S")] for path, rules in lint["per-file-ignores"].items()}
    assert {path: rules for path, rules in off.items() if rules} == {
        "bench/**": ["S101"],
        "tests/**": ["S"],
        "fuzz/**": ["S101", "S603"],
        "console/**": ["S603"],
        "scripts/**": ["S603"],
        "launcher/**": ["S603", "S606", "S607"],
    }
    # Addresses to listen on are settings.
    assert [rule for rule in lint["ignore"] if rule.startswith("S")] == ["S104"]
