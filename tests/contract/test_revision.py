"""What is added to the contract has a revision of its own, so that callers can ask for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tests.processes import ROOT

BUF = str(Path(sys.executable).with_name("buf"))
FIELD = "  string conversation_id = 6;\n"
LAST = "  CONTRACT_REVISION_1 = 1;\n"
COUNTED = "ContractRevision"


def built(folder: Path) -> FileDescriptorSet:
    out = folder / "built.binpb"
    subprocess.run([BUF, "build", "--exclude-source-info", "-o", str(out)], cwd=folder, check=True)
    return FileDescriptorSet.FromString(out.read_bytes())


def taken_apart(contract: FileDescriptorSet) -> tuple[FileDescriptorProto, int]:
    """The router's file without its revisions, and the last of them."""
    (file,) = [file for file in contract.file if file.name == "router/v1/router.proto"]
    (revisions,) = [one for one in file.enum_type if one.name == COUNTED]
    last = max(value.number for value in revisions.value)
    file.enum_type.remove(revisions)
    return file, last


def is_counted(fresh: FileDescriptorSet, released: FileDescriptorSet) -> bool:
    """Whether what was added since the release has the next revision, and nothing else has."""
    (now, revision), (then, before) = taken_apart(fresh), taken_apart(released)
    return revision == before + (now != then)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    return tmp_path


def released() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((ROOT / "protos/released.binpb").read_bytes())


def test_what_was_added_since_the_release_is_counted(copy: Path):
    assert is_counted(built(copy), released())


@pytest.mark.parametrize(
    ("field", "revision", "counted"),
    [
        ("", "", True),
        ("  // New.\n  string added = 60;\n", "", False),
        ("", "  // Two.\n  CONTRACT_REVISION_2 = 2;\n", False),
    ],
    ids=["nothing", "an addition that is not counted", "a revision of nothing"],
)
def test_an_addition_without_its_revision_is_found(copy: Path, field: str, revision: str, counted: bool):
    before = built(copy)
    contract = copy / "protos/router/v1/router.proto"
    text = contract.read_text()
    assert FIELD in text
    assert LAST in text
    contract.write_text(text.replace(FIELD, FIELD + field, 1).replace(LAST, LAST + revision, 1))
    assert is_counted(built(copy), before) == counted


def test_both_together_are_right(copy: Path):
    before = built(copy)
    contract = copy / "protos/router/v1/router.proto"
    text = contract.read_text().replace(FIELD, FIELD + "  // New.\n  string added = 60;\n", 1)
    contract.write_text(text.replace(LAST, LAST + "  // Two.\n  CONTRACT_REVISION_2 = 2;\n", 1))
    assert is_counted(built(copy), before)
