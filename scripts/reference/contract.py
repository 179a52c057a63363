"""The router's calls and words, from the comments of its contract."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet

from scripts.reference.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]
PROTO = "protos/router/v1/router.proto"
# Places of things in a file, as descriptor.proto numbers them.
ENUM, SERVICE, MEMBER = 5, 6, 2


@cache
def described() -> FileDescriptorProto:
    """The contract with its comments."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "described"
        words = ["--include_source_info", f"--descriptor_set_out={out}", "-I.", PROTO]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *words], cwd=ROOT, check=True)
        return FileDescriptorSet.FromString(out.read_bytes()).file[0]


def comments() -> dict[tuple[int, ...], str]:
    """What is said above each thing, by its place."""
    places = described().source_code_info.location
    return {tuple(place.path): place.leading_comments.strip() for place in places if place.leading_comments}


def calls() -> str:
    """The calls, each with what it takes, gives and refuses."""
    said = comments()
    parts = []
    for number, method in enumerate(described().service[0].method):
        streamed = "stream of " if method.server_streaming else ""
        parts.append(f"### {method.name}\n\n{_kind(method.input_type)} → {streamed}{_kind(method.output_type)}\n")
        parts.append(_paragraphs(said[(SERVICE, 0, MEMBER, number)]) + "\n")
    return "\n".join(parts)


def purposes() -> str:
    """What a request may be for."""
    return _enum("Purpose")


def outcomes() -> str:
    """How a reply may fare."""
    return _enum("Outcome")


def sources() -> str:
    """Who may have decided."""
    return _enum("DecisionSource")


def _enum(name: str) -> str:
    said = comments()
    number, found = _find(name)
    prefix = found.value[0].name.removesuffix("UNSPECIFIED")
    rows = [
        (code(value.name.removeprefix(prefix).lower()), code(value.name), said[(ENUM, number, MEMBER, place)])
        for place, value in enumerate(found.value)
    ]
    return table(("in headers and logs", "in the contract", "is"), rows)


def _find(name: str) -> tuple[int, EnumDescriptorProto]:
    return next((number, one) for number, one in enumerate(described().enum_type) if one.name == name)


def _kind(full_name: str) -> str:
    return code(full_name.rpartition(".")[2])


def _paragraphs(comment: str) -> str:
    """The text without the line breaks of the source; what the call refuses becomes a list."""
    lines = ["" if not line.strip() else line.strip() for line in comment.splitlines()]
    joined: list[str] = []
    for line in lines:
        status = line.partition(":")[0]
        refusal = status.isupper() and status.replace("_", "").isalpha()
        if refusal:
            joined.append(f"- `{status}`:{line.partition(':')[2]}")
        elif line and joined and joined[-1]:
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    return "\n".join(joined)
