"""The command itself: its names, its help, its completion, what it does where nothing can be asked."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.console.commands import console
from tests.processes import ROOT

COMMANDS = ("up", "doctor", "aider", "explain", "decisions", "savings", "train", "keys", "config")
ENV = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def test_the_help_names_every_command_and_the_exit_codes():
    ran = console("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert f" {command} " in ran.out
    assert "0 when all is well, 1 when something is wrong" in ran.words
    assert "\x1b" not in ran.out


@pytest.mark.parametrize("command", ["doctor", "aider", "explain", "decisions", "savings", "train"])
def test_the_help_of_a_command_has_an_example(command: str):
    ran = console(command, "--help")
    assert ran.code == 0
    assert f"amr {command}" in ran.out


def test_a_command_that_does_not_exist_is_a_usage_error():
    ran = console("frobnicate")
    assert ran.code == 2
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", ["amr", "aider-model-router"])
def test_it_runs_under_both_names_from_any_folder_through_a_link(tmp_path: Path, name: str):
    link = tmp_path / name
    link.symlink_to(ROOT / "scripts" / "amr")
    ran = subprocess.run(
        [link, "keys", "--help"], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert f"Usage: {name} keys" in ran.stdout


def test_the_shell_completes_commands(tmp_path: Path):
    env = {**ENV, "_AMR_COMPLETE": "complete_bash", "COMP_WORDS": "amr de", "COMP_CWORD": "1"}
    ran = subprocess.run(
        [ROOT / "scripts" / "amr"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stdout.split() == ["decisions"]
    shown = subprocess.run(
        [ROOT / "scripts" / "amr", "--show-completion", "bash"],
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "_AMR_COMPLETE" in shown.stdout, shown.stderr


def test_bootstrap_links_the_names_into_the_environment():
    script = (ROOT / "scripts" / "bootstrap.sh").read_text()
    assert "for name in amr aider-model-router" in script
    assert "ln -sfn ../../scripts/amr" in script


def test_up_says_what_stops_it():
    ran = console("up", EDGE_LISTEN="nonsense")
    assert ran.code == 1
    assert "EDGE_LISTEN must be HOST:PORT" in ran.err
