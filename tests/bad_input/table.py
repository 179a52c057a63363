"""The table of bad inputs: every case of every entry, in order."""

from tests.bad_input import documents, fields, floods, framing, headers, paths, rpc
from tests.bad_input.case import Case

ENTRIES = (*(f"B{number:02d}" for number in range(1, 63)), *(f"G{number:02d}" for number in range(1, 19)))
_PARTS = (framing, paths, headers, documents, fields, rpc, floods)
CASES: tuple[Case, ...] = tuple(sorted((case for part in _PARTS for case in part.CASES), key=lambda case: case.id))
