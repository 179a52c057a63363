"""`python -m scripts.reference`: bring what pages have of the code up to date; NAME prints a table, --check changes nothing."""

import sys

from scripts.reference.pages import ROOT, stale, write
from scripts.reference.tables import TABLES


def main() -> int:
    """Write, print or check; 1 where a page is out of date, 2 when what is asked for is not there."""
    wanted = sys.argv[1:]
    if wanted == ["--check"]:
        found = stale()
        for page in found:
            print(f"{page.relative_to(ROOT)} is not of today's code; run: make docs")
        return 1 if found else 0
    if not wanted:
        for page in write():
            print(f"written: {page.relative_to(ROOT)}")
        return 0
    if len(wanted) != 1 or wanted[0] not in TABLES:
        print(f"Usage: python -m scripts.reference [--check|{'|'.join(TABLES)}]", file=sys.stderr)
        return 2
    print(TABLES[wanted[0]](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
