"""Looks for a local Ollama and describes its models to the router."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import date
from http.client import HTTPException
from pathlib import Path

ANSWER_WITHIN_S = 1.0
# Loopback must not go through a proxy that the environment names for the internet.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def installed_models(url: str) -> list[str]:
    """The names of the chat models an Ollama at `url` has; none where nothing answers in time."""
    try:
        with DIRECT.open(f"{url}/api/tags", timeout=ANSWER_WITHIN_S) as response:
            answer = json.load(response)
    except (OSError, ValueError, HTTPException):
        return []
    models = answer.get("models") if isinstance(answer, dict) else None
    return [
        model["name"]
        for model in (models if isinstance(models, list) else [])
        if isinstance(model, dict) and isinstance(model.get("name"), str) and not _only_embeds(model)
    ]


def catalog_text(models: Sequence[str], today: date) -> str:
    """The models as entries of the router's catalog (TOML)."""
    head = "# Written by the launcher from what the local Ollama has; overwritten at every start.\n"
    return head + "".join(
        f"""
[[models]]
id = {json.dumps(f"ollama/{name}", ensure_ascii=False)}
context_tokens = 32768
max_output_tokens = 8192
input_usd_per_mtok = 0
output_usd_per_mtok = 0
vision = false
tools = false
json = true
source = "local Ollama"
checked = {today.isoformat()}
"""
        for name in models
    )


def write_catalog(folder: Path, models: Sequence[str], today: date) -> Path:
    """Writes the catalog into `folder` and returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "router.ollama.toml"
    path.write_text(catalog_text(models, today), encoding="utf-8")
    return path


def _only_embeds(model: dict[str, object]) -> bool:
    details = model.get("details")
    family = details.get("family") if isinstance(details, dict) else None
    return "bert" in str(family) or "embed" in str(model["name"])
