"""Has memory given back: large blocks at once, and what is in use left alone by the garbage collector."""

from __future__ import annotations

import ctypes
import gc

# glibc's name for the size from which on a block is a mapping of its own, which goes back to the system as soon as it is free.
# By itself it raises that with each such block, up to 32 MiB, and then keeps what a large prompt took. Prompts of a usual size
# stay below it: the system takes longer to give a block and to take it back than they take to be read.
M_MMAP_THRESHOLD = -3
LARGE = 1024 * 1024
# And for how much of what is free at the end of the memory is kept for the next of them.
M_TRIM_THRESHOLD = -1
KEPT = 4 * LARGE
# How many objects more make a collection, and how many of those the next larger one: looking through all that conversations and
# kept answers hold stops everything else for a while.
SELDOM = (10_000, 10, 100)


def settle() -> None:
    """Call once, when all is loaded and nothing is served yet."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, KEPT)
    gc.set_threshold(*SELDOM)
    # What is here by now stays, and need not be looked through again and again.
    gc.freeze()
