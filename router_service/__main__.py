"""Starts the router: `python -m router_service`."""

import asyncio
import sys

from router_service import server, settings, telemetry
from router_service.errors import InvalidConfiguration


def main() -> int:
    """Run until stopped; 2 when a setting is wrong."""
    telemetry.configure()
    try:
        configured = settings.load()
        catalog = settings.load_catalog(configured.config)
        asyncio.run(server.serve(configured, catalog))
    except InvalidConfiguration as error:
        sys.stderr.write(f"router_service: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
