"""Runs the real Aider, offline, in a repository of its own, against an edge."""

import os
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.processes import ROOT, log_lines

AIDER = Path(os.environ.get("AIDER", ROOT / ".venv-aider" / "bin" / "aider"))
MISSING = f"Aider is not installed at {AIDER}; `make aider` installs it"
CONFIG = ROOT / "demo" / "aider"


@dataclass
class Repository:
    """A git repository, and what Aider said while working in it."""

    folder: Path
    home: Path
    # Each is a user of its own.
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def git(self, *words: str) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        done = subprocess.run(["git", *words], cwd=self.folder, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def subjects(self) -> list[str]:
        """The commits' subjects, latest first."""
        return self.git("log", "--format=%s").splitlines()

    def aider(self, base_url: str, message: str, *more: str) -> str:
        """Have Aider act on a message; what it printed."""
        return self._run(base_url, ["--message", message, *more])

    def aider_session(self, base_url: str, lines: list[str], *more: str) -> str:
        """Type these lines into one Aider session, then end it; what it printed."""
        return self._run(base_url, list(more), "".join(f"{line}\n" for line in lines))

    def _run(self, base_url: str, words: list[str], typed: str = "") -> str:
        argv = [
            str(AIDER),
            *("--config", str(CONFIG / "aider.conf.yml")),
            *("--model-settings-file", str(CONFIG / "model-settings.yml")),
            *("--model-metadata-file", str(CONFIG / "model-metadata.json")),
            *("--openai-api-base", base_url, "--openai-api-key", self.key),
            *("--yes-always", "--no-pretty", "--no-fancy-input", "--no-gitignore"),
            *words,
        ]
        if "--model" not in words:
            argv += ["--model", "openai/auto"]
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        done = subprocess.run(
            argv, cwd=self.folder, env=env, input=typed, capture_output=True, text=True, timeout=280, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    if not AIDER.exists():
        pytest.skip(MISSING)
    return new_repository(tmp_path)


def new_repository(place: Path) -> Repository:
    """An empty repository and a home for its user, both in this folder."""
    home, folder = place / "home", place / "project"
    home.mkdir()
    folder.mkdir()
    made = Repository(folder, home)
    (home / ".gitconfig").write_text(
        "[user]\nname = Test\nemail = test@example.invalid\n[init]\ndefaultBranch = main\n"
    )
    made.git("init", "-q")
    return made


def finished(text: str) -> list[dict]:
    """The completions that an edge's log tells of, in order."""
    return [entry for entry in log_lines(text) if entry["event"] == "completion"]
