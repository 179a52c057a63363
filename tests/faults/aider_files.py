"""Real Aiders edit a file while something breaks: what has become of the file afterwards."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from tests.end_to_end.aider_runs import new_repository
from tests.fakes.behaviours import Behaviour
from tests.fakes.provider import FakeProvider
from tests.faults import broken_answers as broken
from tests.faults.aider_cases import CASES, Case
from tests.faults.aider_scene import FORMATS, LONGEST_START, Scene, prompt, scene


class Row(NamedTuple):
    """What happened: whether the file is as it was (`old`), as it was meant to be (`new`), or neither (`damaged`)."""

    id: str
    fault: str
    format: str
    file: str
    requests: int
    seconds: float
    # What Aider printed, for whoever wants to know why.
    said: str


def run(case: Case, scene: Scene, place: Path) -> list[Row]:
    """Have an Aider for each format edit a file of its own in this folder, at the same time, while the fault happens."""
    scene.read.clear()
    scene.house.provider.reset()
    scripts = {name: _in_turn(case, answer, scene.read) for name, answer in broken.ANSWERS.items()}
    scene.house.provider.script |= dict.fromkeys(("first", "second"), _for_each(scripts))
    scene.router.forget()
    meeting = threading.Barrier(len(FORMATS), lambda: case.asked(scene))
    for tap in scene.edge.values():
        tap.forget()
        tap.before = _meet(meeting)
    with ThreadPoolExecutor(len(FORMATS)) as aside:
        at_work = [aside.submit(_edit, name, case, scene, place / name) for name in FORMATS]
        case.strike(scene)
        return [aider.result() for aider in at_work]


def _edit(edit_format: str, case: Case, scene: Scene, place: Path) -> Row:
    place.mkdir()
    repository = new_repository(place)
    repository.write(broken.NAME, broken.OLD)
    repository.git("add", ".")
    repository.git("commit", "-qm", "start")
    tap = scene.edge[edit_format]
    started = time.monotonic()
    # Without a commit, whose message would be a request more.
    words = ("--edit-format", edit_format, "--no-auto-commits", broken.NAME)
    said = repository.aider(f"http://127.0.0.1:{tap.port}/v1", prompt(edit_format), *words)
    seconds = round(time.monotonic() - started, 1)
    found = {broken.OLD: "old", broken.NEW: "new"}.get(repository.read(broken.NAME), "damaged")
    return Row(case.id, case.fault, edit_format, found, tap.posts(), seconds, said)


def rows(folder: Path) -> Iterator[Row]:
    """Every fault in every format, one fault after the other, in a house of their own."""
    provider = FakeProvider()
    try:
        with scene(provider, folder) as made:
            for case in CASES:
                place = folder / case.id
                place.mkdir()
                yield from run(case, made, place)
    finally:
        provider.close()


def table(found: Sequence[Row]) -> str:
    """The rows, to be read."""
    head = f"{'fault':<48} {'format':<7} {'file':<8} {'requests':>8} {'seconds':>8}"
    lines = [f"{row.fault:<48} {row.format:<7} {row.file:<8} {row.requests:>8} {row.seconds:>8.1f}" for row in found]
    return "\n".join([head, "─" * len(head), *lines])


def _meet(meeting: threading.Barrier) -> Callable[[bytes], Awaitable[None]]:
    """Holds a first request back until the other Aiders have sent theirs, so that all of them are hit by the same."""
    met = False

    async def before(data: bytes) -> None:
        nonlocal met
        if b"POST /" in data and not met:
            met = True
            await asyncio.to_thread(meeting.wait, LONGEST_START)

    return before


def _in_turn(case: Case, answer: broken.Answer, read: threading.Event) -> Behaviour:
    """The case's answers, one for each request whichever model it is for, then always the right one."""
    left = [fault(answer, read) for fault in case.answers]

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return await (left.pop(0) if left else broken.right(answer))(request, body)

    return behave


def _for_each(scripts: Mapping[str, Behaviour]) -> Behaviour:
    """To each format its own."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        (name,) = [name for name in scripts if prompt(name) in str(body["messages"][-1])]
        return await scripts[name](request, body)

    return behave
