"""Builds what a release is made of, byte for byte the same wherever it is built: `make dist`."""
