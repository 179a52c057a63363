"""The clients that people use, against the whole system: what each of them gets of every feature."""
