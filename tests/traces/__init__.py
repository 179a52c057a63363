"""Traces of requests through both services, as a collector gets them."""
