"""Dispatches through Portkey, hosted or its open-source gateway: one inline config a chain."""
