"""Requests are read in their form, and a large one beside everything else."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest

from edge_gateway.errors import GatewayError
from edge_gateway.forms import CHAT
from edge_gateway.parsing import SMALL, parsed


def request(size: int) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x, " * (size // 3)}]}).encode()


@pytest.mark.parametrize("size", [100, SMALL + 1000])
async def test_a_request_of_any_size_is_read_alike(size):
    assert await parsed(CHAT, request(size)) == CHAT.parse(request(size))


async def test_the_loop_turns_while_a_large_request_is_read():
    turned = threading.Event()

    def read(raw: bytes):
        assert turned.wait(10), "nothing else had its turn"
        return CHAT.parse(raw)

    asyncio.get_running_loop().call_later(0.01, turned.set)
    assert (await parsed(replace(CHAT, parse=read), request(SMALL + 1000))).model == "auto"


async def test_what_is_wrong_with_a_large_request_is_said_as_of_a_small_one():
    broken = request(SMALL + 1000)[:-1]
    with pytest.raises(GatewayError) as told:
        await parsed(CHAT, broken)
    assert (told.value.status, "not JSON" in told.value.message) == (400, True)
