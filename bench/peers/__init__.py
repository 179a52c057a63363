"""Measures this beside its peers, side by side on one machine: `python -m bench.peers`."""
