"""The contract as one archive: the .proto, its descriptors, the Python code generated from it, and its version."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from scripts.release.tracked import Source, Untracked

PROTO = "protos/router/v1/router.proto"
BESIDE = ("LICENSE", "NOTICE", "buf.yaml")


def build(source: Source, version: str, out: Path) -> Path:
    """The archive, in `out`. `descriptors.binpb` has all that is imported, for tools such as grpcurl (-protoset)."""
    name = f"aider-model-router-contract-{version}"
    files = {path: (source.root / path).read_bytes() for path in source.below("protos", *BESIDE)}
    files |= {"descriptors.binpb": _descriptors(source.root), "VERSION": f"{version}\n".encode()}
    made = out / f"{name}.tar.gz"
    with (
        made.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=source.epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size, entry.mtime, entry.mode = len(content), source.epoch, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return made


def _descriptors(root: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "descriptors.binpb"
        words = ("-I.", "--include_imports", f"--descriptor_set_out={made}", PROTO)
        argv = [sys.executable, "-m", "grpc_tools.protoc", *words]
        done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Untracked(f"The contract cannot be compiled: {done.stderr.strip()}")
        return made.read_bytes()
