"""Measurements, each with its result as a file in results/; run by `make bench`."""
