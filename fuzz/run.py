"""Runs one target until libFuzzer has had enough: `python -m fuzz.run TARGET [libFuzzer's options]`."""

import importlib
import sys

import atheris


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, options = sys.argv[1], sys.argv[2:]
    with atheris.instrument_imports(include=["edge_gateway", "fuzz"]):
        target = importlib.import_module(f"fuzz.{name}")
    atheris.Setup([sys.argv[0], *options], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
