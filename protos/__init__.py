"""The gRPC contract and the code generated from it; regenerate with `make protos`."""
