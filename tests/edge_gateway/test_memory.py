"""A large request takes memory while it is served, and none afterwards, however it ends."""

import asyncio
import io
import json

import pytest

from tests.bad_input.footprint import footprint
from tests.conftest import edge_beside
from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour
from tests.processes import wait_until

PROMPT = "def f(a, b):\n    return [a, {'b': b}]\n" * 60_000
# More than the allocator keeps for the next, and less than these prompts, let alone their copies.
SLACK_BYTES = 16 * 2**20
TIMES = 12


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("model", "behaviour", "status"),
    [
        ("fake/first", fake.answer, 200),
        ("fake/first", fake.refuse(503), 503),
        ("fake/first", fake.refuse(400), 400),
        ("nobody", fake.answer, 404),
    ],
    ids=["served", "provider failed", "provider refused", "unknown model"],
)
async def test_large_requests_leave_nothing_behind(
    http, system, portkey, edge_config, model: str, behaviour: Behaviour, status: int, stream: bool
):
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]}).encode()
    headers = {"content-type": "application/json"}
    system.provider.script["first"] = behaviour

    async def ask() -> None:
        async with http.post(f"{edge.url}/v1/chat/completions", data=io.BytesIO(body), headers=headers) as answer:
            await answer.read()
            assert answer.status == status

    with edge_beside(system, portkey, edge_config) as edge:
        await ask()
        before = footprint(edge.edge.popen.pid).resident
        for _ in range(TIMES):
            await ask()
        # Nothing more is asked meanwhile, so that no collection mends what should not need one.
        pid, most = edge.edge.popen.pid, before + SLACK_BYTES
        await asyncio.to_thread(wait_until, lambda: footprint(pid).resident <= most, "memory back to where it was")
