"""Starts the edge: `python -m edge_gateway`."""

import sys

from edge_gateway import app, memory, settings, telemetry
from edge_gateway.server.connections import Bounds
from edge_gateway.server.run import run
from edge_gateway.settings import InvalidSetting


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
    memory.settle()
    run(application, application.shedding.refuses, configured.listen, bounds, configured.drain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
