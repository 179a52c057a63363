"""The command line: what routing saved, and the training of a custom Not Diamond router."""
