"""The command line: what routing saved, the training of a custom Not Diamond router, and clients' keys."""
