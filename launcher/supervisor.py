"""Runs the processes side by side under honcho, and leaves none behind however it ends."""

import os
import queue
import shlex
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from honcho.manager import Manager
from honcho.process import Popen

from launcher.errors import LaunchError
from launcher.health import says_all, wait_until_ready
from launcher.processes import Process

# Seconds until all answer, and until the edge has found the router, for which nothing is stopped.
READY_WITHIN_S, SETTLED_WITHIN_S = 60.0, 5.0
STOP_WITHIN_S = 10.0
PAUSE_S = 0.05


class Group(Popen):  # type: ignore[misc]  # honcho has no types
    """A process whose own children end with it: one that held its output would hide its end from honcho."""

    def __init__(self, command: str, **options: object) -> None:
        super().__init__(command, **options)
        threading.Thread(target=self._end_children, daemon=True).start()

    def _end_children(self) -> None:
        self.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Supervisor(Manager):  # type: ignore[misc]  # honcho has no types
    """honcho's Manager, with a thread beside its loop that waits for readiness and for the wish to stop."""

    def __init__(self, processes: Sequence[Process], root: Path, when_ready: Callable[[], None]) -> None:
        super().__init__()
        self._plan = processes
        self._when_ready = when_ready
        self._ready = False
        self._stopping = False
        self._over = threading.Event()
        self._failure: str | None = None
        for process in processes:
            # exec: the shell that honcho starts becomes the process, so that a signal reaches it itself.
            command = f"exec {shlex.join(process.command)}"
            started = self.add_process(process.name, command, env=dict(process.environment), cwd=str(root))
            started._child_ctor = Group

    def run(self) -> None:
        """Returns when a signal has stopped all; raises if one stopped by itself or never got ready."""
        try:
            self.loop()
        finally:
            self._over.set()
            self._sweep()
        if self._failure:
            raise LaunchError(self._failure)

    def terminate(self) -> None:
        """Called by honcho when a process has stopped: all others shall."""
        if not self._stopping:
            stopped = [name for name, state in self._processes.items() if state.get("returncode") is not None]
            when = "after the start" if self._ready else "before it was ready"
            self._failure = (
                f"The process {stopped[0]} stopped {when} ({_how(self._processes[stopped[0]]['returncode'])}), "
                "so all were stopped; its last lines above say why."
            )
        self._stopping = True
        super().terminate()

    def _start(self) -> None:
        # In the place of honcho's handlers, which print: in the midst of another print that is an error.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup has asked to go on
                signal.signal(number, self._stop)
        super()._start()
        # After honcho has forked: a process with threads must not be forked.
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:  # the terminal was closed, so there is nothing to print to
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
        self._stopping = True

    def _watch(self) -> None:
        # honcho can stop a process only when it has heard of its start.
        while not self._all_started() and not self._over.wait(PAUSE_S):
            pass
        late = wait_until_ready(self._plan, READY_WITHIN_S, lambda: self._stopping)
        if late and not self._stopping:
            self._failure = (
                f"Not ready after {READY_WITHIN_S:.0f} seconds: {', '.join(process.name for process in late)}; "
                "all were stopped. The lines above may say why."
            )
            self._stopping = True
        elif not late:
            # Started together, the edge may have looked for the router too early, and looks again in a second. It serves
            # meanwhile, so this is worth a moment, and no failure.
            wait_until_ready(self._plan, SETTLED_WITHIN_S, lambda: self._stopping, says_all)
            self._ready = True
            self._when_ready()
        while not self._stopping and not self._over.wait(PAUSE_S):
            pass
        super().terminate()
        # honcho's own limit counts from the first process that has ended, and perhaps none ends.
        if not self._over.wait(STOP_WITHIN_S):
            self.kill()

    def _sweep(self) -> None:
        """Ends what is left of each process's group: children that outlived it, or all if the loop broke."""
        with suppress(queue.Empty):
            while not self._all_started():
                message = self.events.get(timeout=1)
                if message.type == "start":
                    self._processes[message.name]["pid"] = message.data["pid"]
        for state in self._processes.values():
            if pid := state.get("pid"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
