"""The ready Aider configuration holds together."""

import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "demo" / "aider"


def aliases() -> dict[str, str]:
    """Alias to its block of the settings file."""
    blocks = re.split(r"^- name: ", (FOLDER / "model-settings.yml").read_text(), flags=re.MULTILINE)[1:]
    return {block.split()[0]: block for block in blocks}


def test_every_alias_that_is_named_has_settings_and_metadata() -> None:
    text = (FOLDER / "model-settings.yml").read_text()
    named = set(re.findall(r"(?:name|weak_model_name|editor_model_name): (\S+)", text))
    metadata = json.loads((FOLDER / "model-metadata.json").read_text())
    assert named == set(aliases()) == set(metadata)
    assert {"openai/auto", "openai/auto-weak", "openai/auto-editor", "openai/auto-architect"} == named


def test_every_alias_names_its_edit_format_and_leaves_retries_to_aider() -> None:
    for alias, block in aliases().items():
        assert "edit_format: diff" in block, alias
        assert "extra_params:" in block, alias


def test_helpers_name_no_helpers_so_that_aider_does_not_recurse() -> None:
    for alias in ("openai/auto-weak", "openai/auto-editor"):
        assert not re.search(r"^  (?:weak|editor)_model_name:", aliases()[alias], re.MULTILINE), alias
