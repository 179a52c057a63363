"""Starts the peers, makes sure that their answers are right, and measures them in turn, round after round."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.load.machine import TICKS
from bench.peers import generator, summary
from bench.peers.answers import wrong
from bench.peers.loads import Load, named
from bench.peers.peer import Absent, Peer, Place, Running
from bench.peers.placement import Layout, cpu_seconds, kept_on, rss_mb, tree
from bench.peers.summary import Figure, Sample
from tests.processes import free_port

# More requests than any run makes: each run numbers its own from here on.
RUN = 1_000_000
RUNS = itertools.count(1)
# What a peer still does when the last answer is given (a ledger, a log) is its own too: it is at rest when it has used no more
# than a tick of the clock in so many seconds, and is waited for so long at most.
REST, LONGEST_WAIT = 0.1, 2.0
# Node.js is quicker once it has served some thousands of requests, and behind others it takes longer to get there: each load is
# given until so many are served, in runs of so many seconds, and for so long at most.
WARM = tuple(replace(load, seconds=1.5) for load in named(["c16", "burst"]))
WARM_REQUESTS, WARM_SECONDS = 4_000, 15.0


@dataclass
class Seat:
    """A running peer, and what was found of it."""

    peer: Peer
    running: Running
    place: Place
    start_s: float
    idle_rss_mb: float
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    # By load: what was wrong with its answers, which are not counted then.
    wrong: dict[str, str] = field(default_factory=dict)
    _files: dict[str, list[Path]] = field(default_factory=dict)

    def pids(self) -> list[int]:
        """All its processes."""
        return tree(self.running.pids)

    def files(self, load: Load) -> list[Path]:
        """The requests of a load, written for the generator."""
        if load.name not in self._files:
            requests = self.running.requests(load)
            self._files[load.name] = [self.place.folder / f"{load.name}-{turn}.http" for turn in range(len(requests))]
            for file, request in zip(self._files[load.name], requests, strict=True):
                file.write_bytes(request)
        return self._files[load.name]


@dataclass
class Present:
    """Who is there, and who is not and why."""

    seats: list[Seat]
    absent: dict[str, str]


@contextmanager
def seated(peers: Sequence[Peer], layout: Layout) -> Iterator[Present]:
    """All of them running before one mock, warm, on the layout's cores; stopped again whatever happens."""
    with ExitStack() as stack:
        folder, port = Path(stack.enter_context(tempfile.TemporaryDirectory())), free_port()
        mock = generator.start_mock(port, layout.load)
        stack.callback(mock.stop)
        present = Present([], {})
        for peer in peers:
            own = folder / peer.name
            own.mkdir()
            try:
                taken = seat(peer, Place(port, own, stack, mock.popen.pid), layout)
            except Absent as absent:
                present.absent[peer.name] = str(absent)
                continue
            except AssertionError as error:  # it did not start
                present.absent[peer.name] = f"did not start: {str(error)[-300:]}"
                continue
            present.seats.append(taken)
        yield present


def seat(peer: Peer, place: Place, layout: Layout) -> Seat:
    """One peer, running and warm."""
    _say(f"starting {peer.title}")
    peer.needs()
    began = time.monotonic()
    with kept_on(layout.tested):
        running = peer.start(place)
    took = time.monotonic() - began
    seated = Seat(peer, running, place, round(took, 1), round(rss_mb(tree(running.pids)), 1))
    if not wrong(running, WARM[0], next(RUNS) * RUN):
        for load in WARM:
            _warm(seated, load, layout)
    return seated


def _warm(seat: Seat, load: Load, layout: Layout) -> None:
    served, end = 0, time.monotonic() + WARM_SECONDS
    while served < WARM_REQUESTS and time.monotonic() < end:
        counted, _ = generator.run(load, seat.running.ports, seat.files(load), next(RUNS) * RUN, layout.load)
        served += counted["served"]


def measure(present: Present, loads: Sequence[Load], rounds: int, layout: Layout) -> None:
    """Every load in as many rounds as it is given; in each round every peer once, each time another one first."""
    for load in loads:
        for seat in present.seats:
            if said := wrong(seat.running, load, next(RUNS) * RUN):
                seat.wrong[load.name] = said
                _say(f"{seat.peer.title}, {load.name}: {said}")
        for number in range(min(rounds, load.rounds)):
            _say(f"{layout.name}, {load.name}, round {number + 1}")
            turned = present.seats[number % len(present.seats) :] + present.seats[: number % len(present.seats)]
            for seat in turned:
                if load.name not in seat.wrong:
                    _measure(seat, load, layout)
        for seat in present.seats:
            if load.name not in seat.wrong and (said := seat.running.lost()):
                seat.wrong[load.name] = said


def _measure(seat: Seat, load: Load, layout: Layout) -> None:
    try:
        taken = once(seat, load, layout)
    except (OSError, RuntimeError) as error:  # it has died, or the generator has
        seat.wrong[load.name] = f"{type(error).__name__}: {error}"
        return
    seat.samples.setdefault(load.name, []).append(taken)


def once(seat: Seat, load: Load, layout: Layout) -> Sample:
    """One run against one peer; what else the machine did is what neither the peer nor the mock nor the bench did."""
    pids, files, running = seat.pids(), seat.files(load), seat.running
    look = (lambda: (cpu_seconds(pids), rss_mb(pids))) if load.once else None
    before, began = _moment(pids, seat.place.mock_pid), time.monotonic()
    counted, looks = generator.run(load, running.ports, files, next(RUNS) * RUN, layout.load, look)
    wait_for_rest(pids)
    after, took = _moment(pids, seat.place.mock_pid), time.monotonic() - began
    cpu, own, busy, stolen = (later - earlier for later, earlier in zip(after, before, strict=True))
    share = 100 / took / (os.cpu_count() or 1)
    return summary.sample(counted, looks, cpu, rss_mb(pids), share * max(0.0, busy - cpu - own), share * stolen)


def figures(present: Present) -> dict[str, dict[str, Figure]]:
    """The medians by peer and load."""
    return {
        seat.peer.name: {load: summary.medians(samples) for load, samples in seat.samples.items()}
        for seat in present.seats
    }


def wait_for_rest(pids: Sequence[int]) -> None:
    """Wait until they do nothing any more."""
    end, used = time.monotonic() + LONGEST_WAIT, cpu_seconds(pids)
    while time.monotonic() < end:
        time.sleep(REST)
        before, used = used, cpu_seconds(pids)
        if used - before <= 1 / TICKS:
            return


def _moment(pids: Sequence[int], mock_pid: int) -> tuple[float, float, float, float]:
    """Seconds so far: of the peer, of the mock, the bench and its generators, of all cores at work, and taken by the host."""
    fields = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(fields[i] for i in (0, 1, 2, 5, 6)) / TICKS
    return cpu_seconds(pids), cpu_seconds([mock_pid]) + sum(os.times()[:4]), busy, fields[7] / TICKS


def _say(what: str) -> None:
    sys.stderr.write(f"  {what}\n")
    sys.stderr.flush()
