"""A bounded run of each fuzzer: 20,000 inputs that nobody would write; `make fuzz` runs them for longer."""

import importlib.util

import pytest

from fuzz import __main__ as fuzzing

EXECUTIONS = 20_000


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_nothing_that_nobody_would_write_breaks_a_parser(target, tmp_path, monkeypatch):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("no atheris here: it has wheels for Linux on x86_64 and Python before 3.14 alone")
    # Each run begins with the seeds alone, so that every machine does the same.
    monkeypatch.setattr(fuzzing, "CORPUS", tmp_path)
    outcome = fuzzing.run(target, f"-runs={EXECUTIONS}")
    assert outcome.finding == ""
    assert outcome.executions >= EXECUTIONS
