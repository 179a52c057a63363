"""Starts a real PostgreSQL in a directory of its own, on a free loopback port, as somebody who is not root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.processes import Process, free_port, wait_until

PASSWORD = "sentinel-password"


def programs() -> Path | None:
    """Where PostgreSQL's programs are, the newest first; None where it is not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).resolve().parent] if found else []
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


MISSING = "PostgreSQL is not installed; run: apt-get install postgresql"


class Postgres:
    """A PostgreSQL server that can be stopped, killed and started again over the same data."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None, MISSING
        self._programs = found
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._port = free_port()
        self._process: Process | None = None
        self._databases = 0
        password = self._directory / "password"
        password.write_text(PASSWORD)
        self._as_somebody: list[str] = []
        if os.geteuid() == 0:
            # initdb refuses to run as root.
            user = pwd.getpwnam("postgres")
            os.chown(self._directory, user.pw_uid, user.pw_gid)
            os.chown(password, user.pw_uid, user.pw_gid)
            self._as_somebody = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        initdb = [str(found / "initdb"), "-D", str(self._data), "-U", "router", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [*self._as_somebody, *initdb, "--auth=scram-sha-256", f"--pwfile={password}"],
            check=True,
            cwd=self._directory,
            capture_output=True,
        )
        self.start()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://router:{PASSWORD}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        argv += ["-h", "127.0.0.1", "-k", str(self._directory)]
        # What a killed server has written is in the system's cache; syncing every file at its recovery can take a minute.
        argv += ["-c", "fsync=off"]
        self._process = Process([*self._as_somebody, *argv], {}, "postgres").ready_when(self._answers)

    def kill(self) -> None:
        """End it at once, without a word to whoever is connected."""
        self._stop(signal.SIGQUIT)

    def freeze(self) -> None:
        """Stop it where it stands, and all its children: connections stay, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        self._stop(signal.SIGINT)
        shutil.rmtree(self._directory)

    def new_database(self) -> str:
        """The address of an empty database."""
        self._databases += 1
        name = f"ledger_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        pid = self._process.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            os.kill(one, number)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _stop(self, number: int) -> None:
        if self._process is not None:
            self._process.stop(number)
            self._process = None
            # Its children end a moment later, and the next start needs their shared memory gone.
            wait_until(lambda: not self._answers(), "PostgreSQL gone")
