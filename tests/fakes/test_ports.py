"""What tests are promised of the ports that they are given."""

import json
import subprocess
import sys

import pytest

from tests.ports import BLOCK, BLOCKS, FIRST
from tests.processes import ROOT

MANY = BLOCK + 200
TAKE = f"""
import json, sys
from concurrent.futures import ThreadPoolExecutor
from tests.ports import free_port
sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(lambda _: free_port(), range({MANY})))), flush=True)
sys.stdin.read()
"""


def test_no_port_is_given_twice_whatever_runs_beside_and_however_many_are_asked_for():
    """Ports that somebody has had are kept by tests for addresses where nobody answers."""
    argv = [sys.executable, "-c", TAKE]
    runs = [
        subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    given = []
    try:
        for run in runs:
            assert run.stdout
            given += json.loads(run.stdout.readline())
    finally:
        # What a process holds it gives back when it ends.
        for run in runs:
            run.communicate()
    ours = [port for port in given if FIRST <= port < FIRST + BLOCK * BLOCKS]
    if not ours:
        pytest.skip("no block of ports is left here, or the kernel gives all of them itself")
    assert len(given) == 2 * MANY
    assert len(ours) == len(set(ours))
