"""The edge and a router with TLS: certificates are followed when they are replaced, and nothing goes in the clear instead."""

import asyncio
import shutil
from pathlib import Path

import aiohttp

from tests import certificates
from tests.conftest import edge_beside
from tests.processes import NEVER, QUIET_ROUTER, Process, free_port, log_events, python, wait_until

ASK = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


def install(pair: certificates.Pair, folder: Path, name: str) -> dict[str, str]:
    """The pair where a process looks for it: replaced whole, as a deployment does it."""
    for source, suffix in ((pair.cert, "pem"), (pair.key, "key")):
        fresh = folder / f"{name}.{suffix}.new"
        shutil.copy(source, fresh)
        fresh.rename(folder / f"{name}.{suffix}")
    return {"cert": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}


async def source(http: aiohttp.ClientSession, url: str) -> str:
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        assert answer.status == 200
        return answer.headers["x-router-source"]


async def test_the_edge_goes_on_with_certificates_of_a_new_authority_without_a_restart(
    http, system, portkey, edge_config, router_config, tmp_path
):
    old = certificates.authority(tmp_path, "old")
    new = certificates.authority(tmp_path, "new")
    used = tmp_path / "used"
    used.mkdir()
    server = install(certificates.issue(tmp_path, "server-old", old), used, "server")
    client = install(certificates.issue(tmp_path, "client-old", old), used, "client")
    trusted = install(old, used, "authority")["cert"]
    port = free_port()
    tls = {"ROUTER_TLS_CERT": server["cert"], "ROUTER_TLS_KEY": server["key"], "ROUTER_TLS_CLIENT_CA": trusted}
    env = {
        "EDGE_ROUTER": f"dns:///localhost:{port}",
        "EDGE_ROUTER_CA": trusted,
        "EDGE_ROUTER_CERT": client["cert"],
        "EDGE_ROUTER_KEY": client["key"],
    }
    router = start_tls_router(port, router_config, tls)
    try:
        with edge_beside(system, portkey, edge_config, **env) as edge:
            assert await source(http, edge.url) == "local"
            install(new, used, "authority")
            install(certificates.issue(tmp_path, "server-new", new), used, "server")
            install(certificates.issue(tmp_path, "client-new", new), used, "client")
            wait_until(lambda: bool(log_events(edge.edge, "certificate_loaded")), "the new certificates")
            router.stop()
            router = start_tls_router(port, router_config, tls)
            async with asyncio.timeout(NEVER):
                # Each waits for the router as long as the edge does.
                while await source(http, edge.url) != "local":
                    pass
    finally:
        router.stop()


def start_tls_router(port: int, config: Path, tls: dict[str, str]) -> Process:
    settings = {**QUIET_ROUTER, "ROUTER_LISTEN": f"127.0.0.1:{port}", "ROUTER_CONFIG": str(config), **tls}
    process = python("router_service", settings)
    return process.ready_when(lambda: bool(log_events(process, "listening")))
