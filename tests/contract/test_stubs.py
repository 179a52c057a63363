"""The committed stubs are those that the contract generates, so that nobody edits one without the other."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

PROTO = "protos/router/v1/router.proto"
STUBS = ("router_pb2.py", "router_pb2.pyi", "router_pb2_grpc.py", "router_pb2_grpc.pyi")


def test_the_committed_stubs_are_what_the_contract_generates(tmp_path):
    plugins = str(Path(sys.executable).parent)
    outputs = [f"--{name}_out={tmp_path}" for name in ("python", "mypy", "grpc_python", "mypy_grpc")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, PROTO],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{plugins}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    for name in STUBS:
        fresh = (tmp_path / "protos/router/v1" / name).read_text()
        assert (ROOT / "protos/router/v1" / name).read_text() == fresh, f"{name} is out of date; run: make protos"
