"""Runs it once and writes what was seen: `python -m tests.containers.scale`."""

import json
import sys
from datetime import UTC, datetime

from tests.containers.engine import NoEngine
from tests.containers.scale import table
from tests.containers.scale.run import run
from tests.processes import ROOT

RESULT = ROOT / "bench" / "results" / "scale.json"
PAGE = ROOT / "deploy" / "kubernetes" / "scale.md"


def main() -> int:
    """1 where a client saw an error."""
    try:
        found = run()
    except NoEngine as error:
        sys.stderr.write(f"{error}\n")
        return 2
    dated = {"date": datetime.now(UTC).date().isoformat(), **found}
    RESULT.write_text(json.dumps(dated, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(table.page(dated))
    print(f"{table.markdown(found['rows'])}\n\nwritten: {RESULT}, {PAGE}")
    return int(found["errors"] > 0)


if __name__ == "__main__":
    sys.exit(main())
