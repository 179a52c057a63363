"""Serves metrics to whoever operates this, from threads of its own: slow scrapers, or many, keep nobody waiting."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, MetricsHandler

PATH = "/metrics"
# Scrapers at once; more are let go of without a word.
MOST_SCRAPERS = 8
# Seconds that a scraper may be silent, or take nothing.
PATIENCE = 10.0


class MetricsServer(ThreadingHTTPServer):
    """Listens from when it is made; OSError where it cannot."""

    daemon_threads = True

    def __init__(self, listen: str, registry: CollectorRegistry) -> None:
        """`listen`: HOST:PORT."""
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._room = threading.BoundedSemaphore(MOST_SCRAPERS)
        self._scrape = type("Scrape", (_Scrape,), {"registry": registry})
        super().__init__((host, int(port)), self._scrape)

    def start(self, look: Callable[[], None]) -> None:
        """Serve, for as long as the process lives; `look` is called before each answer, to bring the registry up to date."""
        self._scrape.look = staticmethod(look)  # type: ignore[attr-defined]
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def server_bind(self) -> None:
        """Take the address; HTTPServer's would also look up what it is called, which may take long."""
        TCPServer.server_bind(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - as socketserver calls it
        """Whether there is room for one more."""
        return self._room.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one, in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that left, or took nothing, is nobody's trouble."""


class _Scrape(MetricsHandler):
    timeout = PATIENCE
    server_version, sys_version = "metrics", ""
    look: Callable[[], None]

    def do_GET(self) -> None:
        """Answer one request."""
        if urlsplit(self.path).path != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"There is {PATH} here, and nothing else.")
            return
        self.look()
        super().do_GET()
