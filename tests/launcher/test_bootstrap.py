"""scripts/bootstrap.sh chooses well among the Pythons of a machine."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.processes import ROOT

# What a Python is like that is asked for its version, for how it was built, for venv, and at last to make an environment,
# which ends the script: which one was asked is all that these tests want to know.
SCRIPT = """#!/bin/sh
case "$*" in
*version_info*) {old} ;;
*CONFIG_ARGS*) {plain} ;;
*"import ensurepip"*) {bare} ;;
*--version*) echo "Python 3" ;;
*) exit 1 ;;
esac
"""


def chosen(folder: Path, pythons: Mapping[str, str], **variables: str) -> str:
    """What the script says in a folder of its own, with these Pythons on the path: each is what its words say."""
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "bootstrap.sh", folder / "scripts")
    for place, words in pythons.items():
        program = folder / place
        program.parent.mkdir(exist_ok=True)
        answers = {word: f"exit {int(word in words.split())}" for word in ("old", "plain", "bare")}
        program.write_text(SCRIPT.format(**answers))
        program.chmod(0o755)
    path = ":".join(dict.fromkeys(str((folder / place).parent) for place in pythons))
    # No apt-get, and none of this machine's Pythons.
    tools = folder / "tools"
    tools.mkdir()
    for tool in ("dirname", "id", "grep", "uname"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    ran = subprocess.run(
        [shutil.which("bash") or "bash", "scripts/bootstrap.sh", "run"],
        cwd=folder, env={"PATH": f"{path}:{tools}", **variables}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    return ran.stderr.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("pythons", "taken"),
    [
        ({"own/python3.12": "plain", "system/python3.11": ""}, "system/python3.11"),
        ({"own/python3.11": "plain", "system/python3.11": ""}, "system/python3.11"),
        ({"own/python3.11": "", "system/python3.11": ""}, "own/python3.11"),
        ({"own/python3.13": "old", "own/python3": ""}, "own/python3"),
        ({"own/python3.12": "plain", "system/python3": "bare"}, "own/python3.12"),
        ({"own/python3.12": "plain", "system/python3": "old"}, "own/python3.12"),
    ],
    ids=["newer but slow", "slow and first on the path", "the first of equals", "too old", "without venv", "only slow"],
)
def test_a_python_built_with_optimisations_is_taken_where_there_is_one_that_can(
    tmp_path: Path, pythons: Mapping[str, str], taken: str
):
    assert f"{taken} could not make .venv" in chosen(tmp_path, pythons)


def test_a_python_that_is_named_is_taken_however_it_was_built(tmp_path: Path):
    told = chosen(tmp_path, {"own/python3.11": "", "other/python": "plain"}, PYTHON=str(tmp_path / "other" / "python"))
    assert "other/python could not make .venv" in told


def test_without_any_that_will_do_it_says_what_to_install(tmp_path: Path):
    assert "Python 3.11 or newer was not found; install it" in chosen(tmp_path, {"own/python3": "old"})


def test_the_doctor_and_the_script_judge_this_python_alike():
    """`amr doctor` says so of a Python without optimisations."""
    script = (ROOT / "scripts" / "bootstrap.sh").read_text()
    asked = script.partition("is_optimised() {")[2].partition("-c '")[2].partition("'\n")[0]
    optimised = subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
    doctor = subprocess.run(
        [sys.executable, "-m", "console", "doctor", "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ("built without optimisations" in doctor.stdout) is not optimised
