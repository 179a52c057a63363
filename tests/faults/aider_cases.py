"""The faults that real Aiders meet: what the provider says first, what befalls a process, and what must come of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults import broken_answers as broken
from tests.faults.aider_scene import FORMATS, LONGEST_START, Scene, prompt
from tests.processes import wait_until

# How long a process that was asked to stop may take; a gateway drains for half a minute unless it is told otherwise.
LONGEST_END = 60.0
Act = Callable[[Scene], None]


def _nothing(scene: Scene) -> None:
    """No process is touched."""


@dataclass(frozen=True)
class Case:
    """One fault: `answers` are what the provider says first, before the right one; `strike` befalls a process meanwhile.

    `asked`: done when all Aiders have asked, just before that is passed on. `file`: what it has to be afterwards.
    `requests`: how many each Aider needs, None where that depends on who is quicker.
    """

    id: str
    fault: str
    answers: Sequence[broken.Fault]
    strike: Act = _nothing
    asked: Act = _nothing
    file: str = "new"
    requests: int | None = None


def _goes_on(scene: Scene) -> None:
    """The provider is told that what it has said has been read."""
    scene.wait_for_words()
    scene.read.set()


def _killed(name: str) -> Act:
    def strike(scene: Scene) -> None:
        scene.wait_for_words()
        scene.house.kill(name)
        scene.read.set()
        scene.house.start(name)

    return strike


def _edge_stops(scene: Scene) -> None:
    """The answer goes on as soon as the edge has been asked to stop; another edge takes over the address."""
    scene.wait_for_words()
    scene.house.ask_to_stop("edge")
    scene.read.set()
    scene.house.running("edge").popen.wait(LONGEST_END)
    scene.house.start("edge")


def _router_freezes(scene: Scene) -> None:
    scene.house.freeze("router")


def _router_killed(scene: Scene) -> None:
    # The words of the prompts go by as they are, within protobuf.
    prompts = [prompt(name).encode() for name in FORMATS]
    wait_until(lambda: all(asked in scene.router.up for asked in prompts), "the questions", LONGEST_START)
    scene.house.kill("router")
    scene.house.start("router")


CASES = (
    Case("end", "clean end without finish_reason", (broken.ends_early,), _goes_on, requests=2),
    Case("done", "[DONE] without finish_reason", (broken.done_early,), _goes_on, requests=2),
    Case("reset", "TCP reset mid-stream", (broken.is_reset,), _goes_on, requests=2),
    Case("error-midway", "error event mid-stream", (broken.fails_midway,), _goes_on, requests=2),
    Case("error-first", "error event first", (broken.fails_first,), requests=1),
    Case("silence", "silence mid-stream", (broken.falls_silent,), requests=2),
    Case("comments", "only comments from mid-stream on, for ever", (broken.only_comments,), requests=2),
    Case("line", "a line without end mid-stream", (broken.line_without_end,), requests=2),
    Case("json", "JSON in place of a stream", (broken.plain_json,), requests=1),
    Case("page", "HTML page in place of a stream", (broken.html_page,), requests=1),
    Case("500", "500 first", (broken.refuses(500),), requests=1),
    Case("503", "503 of every model, then none", (broken.refuses(503), broken.refuses(503)), requests=2),
    Case("bytes", "every byte by itself", (broken.byte_by_byte,), requests=1),
    Case("length", "finish_reason length", (broken.too_long,), file="old", requests=1),
    Case(
        "again",
        "three times cut, then refused for good",
        (broken.ends_early, broken.done_early, broken.ends_early, broken.refuses(401)),
        _goes_on,
        file="old",
        requests=4,
    ),
    Case("portkey-killed", "Portkey killed -9 mid-stream", (broken.held,), _killed("portkey")),
    Case("edge-killed", "edge killed -9 mid-stream, another takes over", (broken.held,), _killed("edge")),
    Case("edge-stopped", "edge stopped mid-stream, finishes", (broken.held,), _edge_stops, requests=1),
    Case("edge-overdue", "edge stopped mid-stream, cannot finish", (broken.goes_on,), _edge_stops),
    Case("router-killed", "router killed -9 while it decides", (), _router_killed, _router_freezes, requests=1),
)
