"""Starts the router: `python -m router_service`."""

import asyncio
import os
import sys

from router_service import server, settings, telemetry
from router_service.catalog import Catalog
from router_service.errors import InvalidConfiguration
from router_service.settings import Settings

# Seconds for which a thread may keep the interpreter while another wants it.
SHORT_TURN = 0.001


def main() -> int:
    """Run until stopped; 2 when a setting is wrong."""
    telemetry.configure()
    # The ledger's writer shares the interpreter with the decisions, which would wait 5 ms for it again and again.
    sys.setswitchinterval(SHORT_TURN)
    try:
        configured = settings.load()
        catalog = settings.load_catalog(configured.config)
        asyncio.run(_serve_and_leave(configured, catalog))
    except InvalidConfiguration as error:
        sys.stderr.write(f"router_service: {error}\n")
        return 2
    return 0


async def _serve_and_leave(configured: Settings, catalog: Catalog) -> None:
    await server.serve(configured, catalog)
    # Everything is closed and written. A thread that still waits for a frozen database would keep the process for ever.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
