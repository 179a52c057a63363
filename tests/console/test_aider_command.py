"""`aider`: the files it writes are for every profile of the router, and the real Aider works with them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.console.commands import console
from tests.console.house import House, program
from tests.end_to_end.aider_runs import AIDER, Repository, repository
from tests.processes import ROOT, free_port

__all__ = ["repository"]


def run_in(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as it stands in scripts/, from a folder of the user's."""
    argv = [str(ROOT / "scripts" / "amr"), "--env-file", os.devnull, *words]
    return subprocess.run(
        argv, cwd=folder, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=280,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_files_hold_every_profile_and_say_of_each_what_its_models_take(up: House, tmp_path: Path):
    ran = console("aider", "--out", tmp_path / "out", "--profile", "thrifty", "--json", **up.settings)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["profiles"] == ["auto", "auto-weak", "auto-editor", "auto-architect", "thrifty"]
    config, settings, metadata = (Path(name).read_text() for name in document["files"])
    assert f'openai-api-base: "{up.edge}/v1"' in config
    assert 'model: "openai/thrifty"' in config
    entries = json.loads(metadata)
    assert entries["openai/thrifty"]["max_input_tokens"] == 200_000
    assert set(entries) == set(re.findall(r"^- name: (\S+)", settings, re.M))
    own = settings.partition("- name: openai/thrifty\n")[2]
    assert "weak_model_name: openai/auto-weak" in own
    assert "editor_model_name: openai/auto-editor" in own
    # Helpers that named helpers would have Aider recurse without end.
    for helper in ("auto-weak", "auto-editor"):
        block = settings.partition(f"- name: openai/{helper}\n")[2].partition("- name:")[0]
        assert "_model_name" not in block
    assert (tmp_path / "out" / ".gitignore").read_text() == "*\n"


def test_the_real_aider_commits_through_the_edge_with_a_profile_of_ones_own(up: House, repository: Repository):
    repository.write("hello.py", "def greet():\n    return 'hello'\n")
    repository.git("add", ".")
    repository.git("commit", "-qm", "start")
    given = ("--yes-always", "--no-pretty", "--no-gitignore", "--message", "rename greet to welcome", "hello.py")
    env = {**up.settings, "HOME": str(repository.home), "LANG": "C.UTF-8"}
    # What the user has set for other occasions comes before any file of Aider's.
    env |= {
        "AIDER_MODEL": "gpt-4o",
        "AIDER_WEAK_MODEL": "gpt-4o-mini",
        "AIDER_OPENAI_API_BASE": "http://127.0.0.1:9/v1",
    }
    env |= {"AIDER_MODEL_SETTINGS_FILE": str(repository.home / "other.yml")}
    ran = run_in(
        repository.folder, "aider", "--profile", "thrifty", "--aider", str(AIDER), "--launch", "--", *given, **env
    )
    said = ran.stdout + ran.stderr
    assert "def welcome():" in repository.read("hello.py"), said
    assert len(repository.subjects()) == 2
    # Aider's own files are there; ours ignore themselves.
    assert ".aider-model-router" not in repository.git("status", "--porcelain")
    listed = json.loads(console("decisions", "--limit", "5", "--json", **up.settings).out)["decisions"]
    assert {(one["profile"], one["purpose"]) for one in listed} >= {("thrifty", "code")}
    code = next(one for one in listed if one["profile"] == "thrifty" and one["purpose"] == "code")
    assert code["conversation_id"]


def test_aider_gets_the_key_by_its_environment_and_no_setting_of_ours(up: House, tmp_path: Path):
    path = program(tmp_path, "aider", "")
    path.write_text('#!/bin/sh\nenv\necho "arguments: $*"\n')
    settings = tmp_path / "settings"
    settings.write_text(f"ANTHROPIC_API_KEY=sk-ant-of-the-edge\nROUTER_LISTEN={up.router}\nEDGE_LISTEN={up.edge[7:]}\n")
    env = {"HOME": str(tmp_path), "AIDER": str(path), "AIDER_MODEL_ROUTER_KEY": "amr-of-alice", "LANG": "C.UTF-8"}

    def launched() -> str:
        words = ["aider", "--out", str(tmp_path / "out"), "--launch", "--", "--dark-mode", "x.py"]
        return subprocess.run(
            [sys.executable, "-m", "console", "--env-file", str(settings), *words],
            cwd=ROOT, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip

    said, again = launched(), launched()
    assert "AIDER_OPENAI_API_KEY=amr-of-alice" in said
    assert "sk-ant-of-the-edge" not in said
    (arguments,) = re.findall(r"^arguments: (.*)$", said, re.M)
    assert arguments.startswith(f"--config {tmp_path / 'out' / 'aider.conf.yml'} --model openai/auto ")
    assert arguments.endswith(" --dark-mode x.py")
    sessions = re.findall(r"^OPENAI_PROJECT_ID=(\S+)$", said + again, re.M)
    assert len(set(sessions)) == 2


def test_what_cannot_be_done_is_told(up: House, tmp_path: Path):
    unknown = console("aider", "--out", tmp_path / "out", "--profile", "nobody", **up.settings)
    assert unknown.code == 1
    assert "it has auto, auto-weak" in unknown.words
    assert not (tmp_path / "out").exists()
    nobody = console("aider", "--out", tmp_path / "out", "--router", f"127.0.0.1:{free_port()}", **up.settings)
    assert nobody.code == 1
    assert "No router answers" in nobody.words
    missing = console("aider", "--out", tmp_path / "out", "--launch", "--aider", tmp_path / "none", **up.settings)
    assert missing.code == 1
    assert "There is no Aider" in missing.words
    assert console("aider", "x.py", **up.settings).code == 2
