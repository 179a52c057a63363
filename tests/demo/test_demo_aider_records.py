"""Every request that a real Aider was recorded to send gets a usable reply."""

import json
from typing import Any

import pytest

from tests.processes import SHARED

RECORDS = SHARED / "aider_corpus"


def recorded_bodies() -> dict[str, dict[str, Any]]:
    """Record name to request body, where the body holds messages."""
    bodies = {path.stem: json.loads(path.read_text())["body"] for path in sorted(RECORDS.glob("*.json"))}
    return {name: body for name, body in bodies.items() if isinstance(body, dict) and body.get("messages")}


def test_every_recorded_request_is_answered(demo: Any) -> None:
    bodies = recorded_bodies()
    if not bodies:
        pytest.skip(f"no records of Aider's requests in {RECORDS}")
    for name, body in bodies.items():
        whole = {**body, "model": "demo/large", "stream": False}
        response = demo.post(whole)
        assert response.status_code == 200, f"{name}: {response.text}"
        content = response.json()["choices"][0]["message"]["content"]
        assert content.strip(), name
        # The rules that Aider appends are never part of what the user said.
        assert "Every *" not in content, name
        if name.endswith("-summary"):
            assert content.startswith("I asked you"), name
        if name.endswith("-commit"):
            assert len(content.splitlines()) == 1, name
            assert len(content) <= 72, name
