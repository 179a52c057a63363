"""All that is measured, in the order of the table."""

from bench.peers import direct, litellm, nginx, ours, portkey, switchyard, tensorzero

PEERS = (
    *direct.PEERS,
    *nginx.PEERS,
    *ours.PEERS,
    *portkey.PEERS,
    *litellm.PEERS,
    *tensorzero.PEERS,
    *switchyard.PEERS,
)
