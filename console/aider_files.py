"""The three files that Aider needs for the router's profiles: its configuration, its model settings, its model metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from console.router.offers import Offer
from router_client import Model

CONFIG, SETTINGS, METADATA = "aider.conf.yml", "model-settings.yml", "model-metadata.json"
WEAK, EDITOR = "-weak", "-editor"
# What profiles without helpers of their own use, where they are offered.
USUAL = "auto"
# What Aider is told where a profile's models are not known.
CONTEXT, OUTPUT = 128_000, 16_384
HEAD = "# Written by `aider-model-router aider`; run it again when the router's profiles have changed.\n"

QUIET = """\
# Keeps Aider quiet and offline beside the gateway.
check-update: false
show-release-notes: false
analytics-disable: true
show-model-warnings: false
detect-urls: false
disable-playwright: true
"""

# Without an edit format Aider falls back to `whole` and resends entire files. Its worked examples would be taken for turns,
# were they no system message. Aider retries by itself; two layers would multiply.
ENTRY = """
- name: openai/{name}
  edit_format: diff
  use_repo_map: true
{helpers}  editor_edit_format: editor-diff
  examples_as_sys_msg: true
  reminder: user
  extra_params: {{max_retries: 0}}
  accepts_settings: [reasoning_effort]
"""


def write_files(folder: Path, edge: str, profile: str, profiles: Sequence[Offer], providers: frozenset[str]) -> None:
    """Write the files; `providers`: those whose models can answer, all where it is empty. OSError when it cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        # Nothing of this belongs into anybody's repository.
        ".gitignore": "*\n",
        CONFIG: config(folder.resolve(), edge, profile),
        SETTINGS: settings([one.name for one in profiles]),
        METADATA: metadata(profiles, providers),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def config(folder: Path, edge: str, profile: str) -> str:
    """Aider's configuration: where the edge is, which profile is asked for, and where the other two files are."""
    # A JSON string is a YAML string.
    named = _named(folder, edge, profile)
    return HEAD + QUIET + "".join(f"{name}: {json.dumps(value)}\n" for name, value in named.items())


def arguments(folder: Path, edge: str, profile: str, names: Sequence[str]) -> list[str]:
    """What Aider has to be told once more as it is started: AIDER_MODEL and the like, from a shell or an .env of the user's,
    come before any file."""
    named = {**_named(folder, edge, profile), **{f"{which}-model": name for which, name in _helpers(profile, names)}}
    words = ["--config", str(folder / CONFIG)]
    return words + [word for name, value in named.items() for word in (f"--{name}", value)]


def _named(folder: Path, edge: str, profile: str) -> dict[str, str]:
    return {
        "model": f"openai/{profile}",
        "openai-api-base": f"{edge}/v1",
        "model-settings-file": str(folder / SETTINGS),
        "model-metadata-file": str(folder / METADATA),
    }


def settings(names: Sequence[str]) -> str:
    """An entry for each profile; the helpers name no helpers, for Aider loads a model's helpers with it, without an end."""
    return HEAD + "".join(ENTRY.format(name=name, helpers=_helper_lines(name, names)) for name in names)


def metadata(profiles: Sequence[Offer], providers: frozenset[str]) -> str:
    """What holds whichever of a profile's models answers. Costs are not Aider's to reckon: the models' prices differ."""
    entries = {f"openai/{profile.name}": _facts(_reachable(profile.candidates, providers)) for profile in profiles}
    return json.dumps(entries, indent=2) + "\n"


def _helper_lines(name: str, names: Sequence[str]) -> str:
    if name.endswith((WEAK, EDITOR)):
        return ""
    return "".join(f"  {which}_model_name: {helper}\n" for which, helper in _helpers(name, names))


def _helpers(name: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The weak and the editor model of a profile: its own, such as thrifty-weak, else the usual ones."""
    for suffix in (WEAK, EDITOR):
        helper = next((base + suffix for base in (name, USUAL) if base + suffix in names), "")
        if helper:
            yield suffix[1:], f"openai/{helper}"


def _reachable(candidates: Sequence[Model], providers: frozenset[str]) -> Sequence[Model]:
    return [one for one in candidates if not providers or one.id.partition("/")[0] in providers] or candidates


def _facts(models: Sequence[Model]) -> dict[str, object]:
    return {
        "max_input_tokens": min((one.context_tokens for one in models), default=CONTEXT),
        "max_output_tokens": min((one.max_output_tokens for one in models), default=OUTPUT),
        "input_cost_per_token": 0,
        "output_cost_per_token": 0,
        "litellm_provider": "openai",
        "mode": "chat",
        # Images go to the models that take them: the router removes the others.
        "supports_vision": any(one.vision for one in models),
    }
