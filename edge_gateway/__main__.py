"""Starts the edge: `python -m edge_gateway`."""

import gc
import sys

from edge_gateway import app, server, settings, telemetry
from edge_gateway.connections import Bounds
from edge_gateway.settings import InvalidSetting

# How many objects more make a collection, and how many of those the next larger one: looking through all that conversations and
# kept answers hold stops everything else for a while.
SELDOM = (10_000, 10, 100)


def main() -> int:
    """Run until stopped; 2 when a setting is wrong."""
    telemetry.configure()
    try:
        configured = settings.load()
        application = app.create(configured, settings.load_config(configured.config))
    except InvalidSetting as error:
        sys.stderr.write(f"edge_gateway: {error}\n")
        return 2
    bounds = Bounds(
        configured.header_timeout,
        configured.body_timeout,
        configured.write_timeout,
        configured.max_connections,
        configured.max_connections_per_address,
    )
    gc.set_threshold(*SELDOM)
    # What is here by now stays, and need not be looked through again and again.
    gc.freeze()
    server.run(application, configured.listen, bounds, configured.drain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
