"""The commands that send a first prompt, for a page that has nothing to show yet."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Where the ready Aider configuration lies; a container has none of it.
FILES = Path("demo", "aider")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


@dataclass(frozen=True, slots=True)
class FirstPrompt:
    """A prompt by curl, and one by Aider."""

    curl: str
    aider: str


def first_prompt(listen: str, *, guarded: bool) -> FirstPrompt:
    """The commands for an edge that listens there; `guarded`: it asks for a key."""
    host, _, port = listen.rpartition(":")
    base = f"http://{EVERYWHERE.get(host, host)}:{port}/v1"
    key = "YOUR_KEY" if guarded else "local"
    return FirstPrompt(_curl(base, key), _aider(base, key))


def _curl(base: str, key: str) -> str:
    body = '{"model": "auto", "messages": [{"role": "user", "content": "Write a haiku on routing."}]}'
    return (
        f"curl -i {base}/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )


def _aider(base: str, key: str) -> str:
    here = (ROOT / FILES).is_dir()
    folder = shlex.quote(str(ROOT / FILES)) if here else f"$ROUTER/{FILES}"
    return ("" if here else "ROUTER=/path/to/this/repository\n") + (
        "LITELLM_LOCAL_MODEL_COST_MAP=True aider \\\n"
        f"  --config {folder}/aider.conf.yml \\\n"
        f"  --model-settings-file {folder}/model-settings.yml \\\n"
        f"  --model-metadata-file {folder}/model-metadata.json \\\n"
        f"  --model openai/auto --openai-api-base {base} --openai-api-key {key}"
    )
