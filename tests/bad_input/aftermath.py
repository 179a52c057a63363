"""What is left of all the bad input: memory and open files back to where they were, and no complaint in a log.

Resident memory (VmRSS) and file descriptors are read from /proc. Before the first case the services do ordinary work and the
largest of it, so that the base holds what allocators keep of that in any case; after the last one they do ordinary work again,
so that the garbage collector runs, and are looked at until they are back or the time is over.
"""

import time
from collections.abc import Mapping

from tests.bad_input.asking import chat, post
from tests.bad_input.documents import LIMIT, of_length
from tests.bad_input.footprint import Footprint, footprint
from tests.bad_input.frames import SELECT
from tests.bad_input.house import House
from tests.bad_input.rpc import alive, called, open_channel, request
from tests.bad_input.wire import exchange
from tests.processes import NEVER, Process

# Of what was resident before, and what allocators keep for the next large request.
SHARE, SLACK_BYTES = 1.15, 32 * 2**20
SLACK_FILES = 5
QUIET_SECONDS = NEVER
# Of all that fits into a message this makes the most objects.
MOST_MESSAGES = request(messages=[{"role": "user", "text": ""}] * 100_000)
COMPLAINTS = ("Traceback", "never retrieved", "was destroyed")


def processes(house: House) -> Mapping[str, Process]:
    """Those that take the bad input."""
    return {"edge": house.edge, "router": house.router, "router with TLS": house.secure}


def warmed_up(house: House) -> Mapping[str, Footprint]:
    """Do ordinary work, small and large, and say what each process holds then."""
    _work(house, 30)
    for _ in range(2):
        exchange(house.edge_port, [post(of_length(LIMIT))], NEVER)
    with open_channel(house, secure=False) as channel:
        for _ in range(10):
            called(channel, MOST_MESSAGES, SELECT, (), NEVER, streaming=False)
    _work(house, 10)
    return held(house)


def _work(house: House, times: int) -> None:
    for _ in range(times):
        exchange(house.edge_port, [post(), post(chat(stream=True))], NEVER, answers=2)
        alive(house)
        alive(house, secure=True)


def held(house: House) -> Mapping[str, Footprint]:
    """What each process holds now."""
    return {name: footprint(process.popen.pid) for name, process in processes(house).items()}


def left_over(house: House, before: Mapping[str, Footprint]) -> tuple[Mapping[str, Footprint], list[str]]:
    """What each process holds after some quiet, and what of that is too much."""
    end = time.monotonic() + QUIET_SECONDS
    while True:
        after = held(house)
        problems = [
            f"the {name} holds {now.resident >> 20} MiB and {now.files} files, before {was.resident >> 20} and {was.files}"
            for name, was in before.items()
            if (now := after[name]).resident > was.resident * SHARE + SLACK_BYTES or now.files > was.files + SLACK_FILES
        ]
        if not problems or time.monotonic() > end:
            return after, problems
        _work(house, 5)


def complaints(house: House) -> list[str]:
    """What no log may hold."""
    return [
        f"{name}: {process.text().count(word)} x {word!r} in {process.log}"
        for name, process in processes(house).items()
        for word in COMPLAINTS
        if word in process.text()
    ]
