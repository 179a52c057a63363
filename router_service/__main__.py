"""Starts the router: `python -m router_service`."""

import asyncio
import gc
import os
import sys

from router_service import server, settings, telemetry
from router_service.catalog import Catalog
from router_service.errors import InvalidConfiguration
from router_service.settings import Settings

# Seconds for which a thread may keep the interpreter while another wants it.
SHORT_TURN = 0.001
# How many objects more make a collection, and how many of those the next larger one: decisions hold no cycles, and looking
# through all that are kept takes a quarter of a second.
SELDOM = (10_000, 10, 100)


def main() -> int:
    """Run until stopped; 2 when a setting is wrong."""
    telemetry.configure()
    # The ledger's writer shares the interpreter with the decisions, which would wait 5 ms for it again and again.
    sys.setswitchinterval(SHORT_TURN)
    gc.set_threshold(*SELDOM)
    try:
        configured = settings.load()
        catalog = settings.load_catalog(configured.config)
        asyncio.run(_serve_and_leave(configured, catalog))
    except InvalidConfiguration as error:
        sys.stderr.write(f"router_service: {error}\n")
        return 2
    return 0


async def _serve_and_leave(configured: Settings, catalog: Catalog) -> None:
    # What is here by now stays, and need not be looked through again and again.
    gc.freeze()
    await server.serve(configured, catalog)
    # Everything is closed and written. A thread that still waits for a frozen database would keep the process for ever.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
