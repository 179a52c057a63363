"""A database that freezes costs lookups their answer, and neither decisions nor the router's end."""

import signal
import time

import grpc
import pytest

from protos.router.v1 import router_pb2 as pb
from tests.databases import MISSING, Postgres, programs
from tests.processes import NEVER, free_port, start_router
from tests.router_service.calls import call, select

# The drain and what the ledger is given to write what it has queued; without an end of its own it would be for ever.
LONGEST_END = NEVER


def test_a_router_whose_database_is_frozen_decides_and_ends():
    if programs() is None:
        pytest.skip(MISSING)
    postgres, port = Postgres(), free_port()
    router = start_router(port, ROUTER_LEDGER_URL=postgres.new_database())
    try:
        assert select(port, profile="auto").model
        postgres.freeze()
        with pytest.raises(grpc.RpcError):
            call(port, "ExplainDecision", pb.ExplainDecisionRequest(decision_id="dec_unknown"), timeout=0.5)
        assert select(port, profile="auto").model
        started = time.monotonic()
        router.popen.send_signal(signal.SIGTERM)
        assert router.popen.wait(LONGEST_END) == 0
        print(f"\nended {time.monotonic() - started:.1f} s after SIGTERM")
    finally:
        postgres.thaw()
        router.stop(signal.SIGKILL)
        postgres.close()
