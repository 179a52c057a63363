"""What is queued for the ledger's database does not stay queued for longer than is said."""

import time

from router_service.ledger.queue import WriteQueue
from tests.processes import wait_until

INTERVAL, WRITING = 2.0, 0.2


def test_what_comes_just_after_a_write_is_written_within_the_interval_though_writing_takes_a_while():
    written: dict[int, float] = {}

    def write(batch):
        # A database that is not quick.
        time.sleep(WRITING)
        written.update(dict.fromkeys(batch, time.monotonic()))

    queue = WriteQueue(write, lambda: None, INTERVAL, 10, lambda name, fields: None)
    ages = []
    for number in range(3):
        queue.put(number)
        put = time.monotonic()
        wait_until(lambda: number in written, "the entry written")  # noqa: B023 - called at once
        ages.append(written[number] - put)
    queue.close()
    # The machine may hold up one or the other; what gathered entries for a whole interval would be late each time.
    assert min(ages) < INTERVAL
