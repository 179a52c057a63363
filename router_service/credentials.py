"""The router's end of TLS: who it is, who may connect, and that nothing is served in the clear by accident."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from pathlib import Path

import grpc

from router_service.errors import InvalidConfiguration
from router_service.reload import Stamp, Tell, stamp

CERT, KEY, CLIENT_CA = "ROUTER_TLS_CERT", "ROUTER_TLS_KEY", "ROUTER_TLS_CLIENT_CA"


def check_exposure(listen: str, has_tls: bool, trusted: bool) -> None:
    """Refuse to serve in the clear where other machines can reach it, unless the network is said to be trusted."""
    if has_tls or trusted or on_loopback(listen):
        return
    raise InvalidConfiguration(
        f"ROUTER_LISTEN: {listen} can be reached from other machines, and without TLS anyone on the way could read and "
        f"change what is sent: set {CERT} and {KEY}, listen on 127.0.0.1, or, where only machines you trust reach "
        "this network (a container's own), set ROUTER_TRUSTED_NETWORK=true"
    )


def check_metrics_exposure(listen: str, trusted: bool) -> None:
    """Refuse to let strangers see how much is decided, and what it costs, unless the network is said to be trusted."""
    if not listen or trusted or on_loopback(listen):
        return
    raise InvalidConfiguration(
        f"ROUTER_METRICS_LISTEN: {listen} can be reached from other machines, and metrics are for whoever operates this alone: "
        "listen on 127.0.0.1, or, where only machines you trust reach this network (a container's own), set "
        "ROUTER_TRUSTED_NETWORK=true"
    )


def on_loopback(listen: str) -> bool:
    """Whether HOST:PORT can be reached from this machine alone."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def configured_credentials(
    cert_file: str, key_file: str, client_ca_file: str, tell: Tell
) -> grpc.ServerCredentials | None:
    """What the three settings ask for: None when all are empty; InvalidConfiguration names the one that is missing."""
    if not (cert_file or key_file or client_ca_file):
        return None
    for variable, value in ((CERT, cert_file), (KEY, key_file)):
        if not value:
            others = (CERT, cert_file), (KEY, key_file), (CLIENT_CA, client_ca_file)
            given = " and ".join(name for name, file in others if file)
            raise InvalidConfiguration(f"{variable}: TLS needs it as well, since {given} is set")
    return server_credentials(cert_file, key_file, client_ca_file, tell)


def server_credentials(cert_file: str, key_file: str, client_ca_file: str, tell: Tell) -> grpc.ServerCredentials:
    """Credentials that follow their files: each handshake uses what is on disk then, or the last that was right.

    With `client_ca_file` a client needs a certificate from one of its authorities. InvalidConfiguration, now, names the
    variable whose file cannot be used; later problems are told.
    """
    files = _Files(Path(cert_file), Path(key_file), Path(client_ca_file) if client_ca_file else None, tell)
    # The stub says that a fetcher never returns None, the library that None means no change.
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        files.changed,  # type: ignore[arg-type]
        require_client_authentication=bool(client_ca_file),
    )


class _Files:
    """The files behind the credentials, and how they looked when they were last read."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None, tell: Tell) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._tell = tell
        # gRPC asks from its own threads.
        self._lock = threading.Lock()
        self._seen = self._stamps()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """What gRPC needs of the files, once they are known to parse and to belong together."""
        cert = _read_certificates(CERT, self._cert)
        key = _read(KEY, self._key)
        _check_pair(self._cert, self._key)
        roots = _read_certificates(CLIENT_CA, self._client_ca) if self._client_ca else None
        return grpc.ssl_server_certificate_configuration([(key, cert)], roots)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The files anew if they changed since they were last read, and can be used."""
        with self._lock:
            now = self._stamps()
            if now == self._seen:
                return None
            self._seen = now
            try:
                configuration = self.read()
            except InvalidConfiguration as error:
                # A certificate and its key are replaced one after the other; between the two they do not match.
                self._tell("certificate_refused", {"problem": str(error), "serving": "the certificate before"})
                return None
            self._tell("certificate_loaded", {"path": str(self._cert)})
            return configuration

    def _stamps(self) -> tuple[Stamp | None, ...]:
        return tuple(stamp(path) for path in (self._cert, self._key, self._client_ca) if path)


def _read(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfiguration(f"{variable}: {path} cannot be read: {error.strerror}") from None


def _read_certificates(variable: str, path: Path) -> bytes:
    content = _read(variable, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise InvalidConfiguration(f"{variable}: {path} holds no certificate in PEM form") from None
    return content


def _check_pair(cert: Path, key: Path) -> None:
    try:
        # Given a passphrase, even an empty one, OpenSSL does not ask the terminal for it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidConfiguration(f"{KEY}: {key} is not the key of the certificate in {cert}") from None
        raise InvalidConfiguration(f"{KEY}: {key} holds no private key in PEM form without a passphrase") from None
    except OSError as error:
        raise InvalidConfiguration(f"{KEY}: {key} cannot be read: {error.strerror}") from None
