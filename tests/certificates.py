"""Makes certificate authorities and certificates for tests, with the openssl command line."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM files."""

    cert: Path
    key: Path


def authority(folder: Path, name: str = "authority") -> Pair:
    """A certificate authority of its own."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl("req", "-x509", *_new_key(pair.key), "-out", pair.cert, "-days", "2", "-subj", f"/CN={name}")
    return pair


def issue(folder: Path, name: str, issuer: Pair, days: int = 2) -> Pair:
    """A certificate for this machine's loopback names, which a server as well as a client can show; -1 day: expired."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    _openssl("req", "-new", *_new_key(pair.key), "-out", request, "-subj", f"/CN={name}")
    _openssl(
        "x509", "-req", "-in", request, "-CA", issuer.cert, "-CAkey", issuer.key, "-CAcreateserial",
        "-days", str(days), "-extfile", extensions, "-out", pair.cert,
    )  # fmt: skip
    return pair


def encrypted(key: Path, to: Path) -> Path:
    """The key behind a passphrase."""
    _openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", to)
    return to


def _new_key(path: Path) -> list[str | Path]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]


def _openssl(*arguments: str | Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make certificates with")
    subprocess.run([openssl, *map(str, arguments)], check=True, capture_output=True, timeout=60)
