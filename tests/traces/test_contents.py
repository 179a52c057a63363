"""No byte that is sent holds what was asked, what was answered or a key, unless a setting says so; and then it is clipped."""

import json

import pytest

from tests.fakes.collector import Collector
from tests.fakes.provider import saying
from tests.faults.asking import ask
from tests.traces.house import CHAT, new_parent, one, sending_to

PROMPT, REPLY, KEY = "sentinel-prompt-5c1d", "sentinel-reply-77ab", "sk-sentinel-key-90ef12"
LONG = "x" * 50_000


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": f"{PROMPT}-system"}, {"role": "user", "content": text}]


@pytest.mark.parametrize("stream", [False, True])
async def test_contents_and_keys_are_in_no_exported_byte(house, stream):
    house.system.provider.script["second"] = saying(REPLY)
    trace_id, parent = new_parent()
    said = {"traceparent": parent, "authorization": f"Bearer {KEY}"}
    answer = await ask(house.system.url, headers=said, messages=asked(PROMPT), stream=stream)
    assert b"sentin" in answer.body
    # A request that is refused and one that fails say nothing of it either.
    await ask(house.system.url, headers=said, messages=asked(PROMPT), model="nonsense")
    house.collector.trace(trace_id, 8)
    sent = b"".join(house.collector.raw)
    for secret in ("sentinel", KEY, "nd-key"):
        assert secret.encode() not in sent


@pytest.mark.parametrize("stream", [False, True])
async def test_where_a_setting_asks_for_them_they_are_said_and_clipped(house, collector, stream):
    house.system.provider.script["second"] = saying(REPLY + LONG)
    with house.edge(EDGE_TRACE_CONTENTS="true", **sending_to(collector)) as system:
        trace_id, parent = new_parent()
        said = {"traceparent": parent, "authorization": f"Bearer {KEY}"}
        await ask(system.url, headers=said, messages=asked(PROMPT + LONG), stream=stream)
        chat = one(collector.trace(trace_id, 3), CHAT)
    system_text, question = json.loads(chat.said["gen_ai.input.messages"])
    (reply,) = json.loads(chat.said["gen_ai.output.messages"])
    assert system_text == {"role": "system", "parts": [{"type": "text", "content": f"{PROMPT}-system"}]}
    assert question["role"] == "user"
    assert question["parts"][0]["content"].startswith(PROMPT)
    assert reply["parts"][0]["content"].startswith(REPLY)
    assert (reply["role"], reply["finish_reason"]) == ("assistant", "stop")
    assert len(chat.said["gen_ai.input.messages"]) < 9_000
    assert len(chat.said["gen_ai.output.messages"]) < 9_000
    assert KEY.encode() not in b"".join(collector.raw)
