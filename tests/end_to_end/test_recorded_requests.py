"""Every recorded Aider request, replayed through the running services: understood, and passed on unchanged."""

import json
from pathlib import Path

import aiohttp
import pytest

from edge_gateway import aider, chat_request
from tests.conftest import System
from tests.processes import SHARED

CORPUS = SHARED / "aider_corpus"
ROLES = {
    "main": {"code", "ask", "context", "cache_ping"},
    "editor": {"editor"},
    "architect": {"architect"},
    "commit": {"commit"},
    "summary": {"summary"},
}
SENT_HEADERS = ("user-agent", "accept", "content-type", "authorization")
# Names in the records that nobody here goes by; they are answered 404.
UNKNOWN = {
    "auto-fast", "auto-big", "gpt-4o", "gpt-5", "o3-mini", "openai/gpt-4o",
    "anthropic/claude-sonnet-4-5", "router:cost", "gw/auto",
}  # fmt: skip


def records() -> list[Path]:
    return sorted(CORPUS.glob("*.json")) if CORPUS.is_dir() else []


async def send(http: aiohttp.ClientSession, system: System, record: dict) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in record["headers"].items() if name.lower().startswith(("x-", "openai-"))}
    headers |= {name: value for name, value in record["headers"].items() if name.lower() in SENT_HEADERS}
    async with http.post(system.url + record["path"], data=json.dumps(record["body"]), headers=headers) as answer:
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()


async def test_every_recorded_request_is_understood_and_passed_on_unchanged_but_for_the_model(http, system):
    if not records():
        pytest.skip(f"no recorded requests at {CORPUS}; test_aider.py runs Aider itself instead")
    served = 0
    for path in records():
        record = json.loads(path.read_text())
        system.provider.reset()
        status, headers, _ = await send(http, system, record)
        assert status not in (422, 500), path.name
        role = path.stem.rsplit("-", 1)[1]
        if role in ROLES:
            assert headers["x-router-purpose"] in ROLES[role], path.name
        if record["path"].endswith("/responses"):
            assert status == 404, path.name
            continue
        if record["body"]["model"] in UNKNOWN:
            assert (status, system.provider.seen) == (404, []), path.name
            continue
        served += 1
        assert status == 200, path.name
        (seen,) = system.provider.seen
        model = headers["x-served-model"].split("/", 1)[1]
        assert seen.body == {**record["body"], "model": model}, path.name
    assert served > 280


async def test_every_edit_format_of_the_records_is_recognised(http, system):
    if not records():
        pytest.skip(f"no recorded requests at {CORPUS}")
    wanted = {"code_diff_stream": "diff", "code_diff_fenced_stream": "diff-fenced", "code_udiff_stream": "udiff",
              "code_whole_stream": "whole", "architect_editor": "editor-diff"}  # fmt: skip
    found = set()
    for path in records():
        record = json.loads(path.read_text())
        role = path.stem.rsplit("-", 1)[1]
        if record["scenario"] not in wanted or role not in ("main", "editor"):
            continue
        understanding = aider.understand(chat_request.parse(json.dumps(record["body"]).encode()))
        assert understanding.edit_format == wanted[record["scenario"]], path.name
        found.add(record["scenario"])
    assert found == set(wanted)
