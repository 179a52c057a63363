"""Starts the edge: `python -m edge_gateway`."""

import sys

import uvicorn

from edge_gateway import app, settings, telemetry
from edge_gateway.settings import InvalidSetting

# Seconds that answers under way get to finish when the process is asked to stop.
DRAIN = 30


def main() -> int:
    """Run until stopped; 2 when a setting is wrong."""
    telemetry.configure()
    try:
        configured = settings.load()
        application = app.create(configured, settings.load_config(configured.config))
    except InvalidSetting as error:
        sys.stderr.write(f"edge_gateway: {error}\n")
        return 2
    host, _, port = configured.listen.rpartition(":")
    uvicorn.run(
        application,
        host=host.strip("[]"),
        port=int(port),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
