"""A change that breaks the contract's callers is refused, and one that does not is let through."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

BUF = str(Path(sys.executable).with_name("buf"))
FIELD = "  string conversation_id = 6;\n"


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (FIELD, FIELD, True),
        (FIELD, FIELD + "  // A new one.\n  string added = 60;\n", True),
        (FIELD, FIELD.replace("= 6", "= 66"), False),
        (FIELD, FIELD.replace("string", "bytes"), False),
        (FIELD, FIELD.replace("conversation_id", "session_id"), False),
        ("  PURPOSE_CHAT = 9;\n", "  PURPOSE_CHAT = 10;\n", False),
    ],
)
def test_a_breaking_change_of_the_contract_is_refused(tmp_path, old, new, allowed):
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    contract = tmp_path / "protos/router/v1/router.proto"
    text = contract.read_text()
    assert old in text
    contract.write_text(text.replace(old, new, 1))
    done = subprocess.run([BUF, "breaking", "--against", "protos/released.binpb"], cwd=tmp_path, check=False)
    assert (done.returncode == 0) == allowed
