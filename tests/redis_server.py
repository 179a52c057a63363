"""Starts a real redis-server on a free loopback port, and stops, freezes and kills it as a test needs."""

import shutil
import signal
import socket
import tempfile

import pytest

from tests.processes import Process, free_port

PROGRAM = shutil.which("redis-server")
MISSING = "no redis-server on this machine; install it with: apt-get install redis-server"


class RedisServer:
    """An empty Redis that keeps nothing on disk; started by the constructor, with further options as its program takes them."""

    def __init__(self, *options: str) -> None:
        if PROGRAM is None:
            # pytest prints the reason: -ra stands in pyproject.toml.
            pytest.skip(MISSING)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self._folder = tempfile.mkdtemp(prefix="redis-")
        self.start()

    def start(self) -> None:
        options = {"--port": str(self.port), "--bind": "127.0.0.1", "--save": "", "--dir": self._folder}
        argv = [PROGRAM, *(word for option in options.items() for word in option), *self._options]
        self._process = Process(argv, {}, "redis").ready_when(lambda: self.command("PING") == b"+PONG\r\n")

    def command(self, *words: str) -> bytes:
        """What Redis answers to one command, as it stands on the wire; empty when it does not."""
        line = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(line.encode())
                return connection.recv(65536)
        except OSError:
            return b""

    def freeze(self) -> None:
        self._process.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.stop(signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
