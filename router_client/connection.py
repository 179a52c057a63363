"""How a router is reached: by which address, with which credentials, and the channel options that survive a lost replica."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import grpc

USUAL_TARGET = "127.0.0.1:50051"
_SERVICE_CONFIG = {
    # Every replica gets its share; the default sends all calls to one.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            # A replica that is gone costs a retry at the next one, within the call's time-out. All calls may be repeated: what
            # is told twice is kept once, and a decision that nobody heard of stands in the ledger without a report.
            "name": [{"service": "router.v1.RouterService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.01s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # All that a dead replica held is asked again, up to 500 calls at once; beyond, and when all are gone, one call in ten is.
    "retryThrottling": {"maxTokens": 1000, "tokenRatio": 0.1},
}
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A router that vanished without a word is noticed within 12 seconds. It is http2.ping_timeout_ms that counts:
    # keepalive_timeout_ms has no effect here, and the default is a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A new replica is used within a few seconds; by default names are looked up every 30 at most.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # A router that comes back is used within a second or so; by default it may be left alone for two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A proxy named in the environment is for the internet, not for the service next door.
    ("grpc.enable_http_proxy", 0),
]
Pem = str | PathLike[str] | bytes
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to the router: `ca` vouches for it, `cert` and `key` say who we are (mTLS). Without `ca` those authorities count that
    come with gRPC, or those of the file that GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names.

    Each is a file's path, or PEM as bytes; none is shown. `server_name`: the name in the router's certificate, where it is not
    the address's.
    """

    ca: Pem | None = field(default=None, repr=False)
    cert: Pem | None = field(default=None, repr=False)
    key: Pem | None = field(default=None, repr=False)
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """All that a channel is opened with; `metadata` goes with every call."""

    target: str
    credentials: grpc.ChannelCredentials | None
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    options: list[tuple[str, Any]] = field(repr=False)

    @property
    def secure(self) -> bool:
        """Whether it is TLS."""
        return self.credentials is not None


def way(target: str, tls: Tls | None, token: str, *, plaintext: bool) -> Way:
    """The way to a router; ValueError says what cannot be, OSError which file cannot be read."""
    if token and not _TOKEN.fullmatch(token):
        raise ValueError("token: a token is of printable ASCII without spaces")
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    if tls is None:
        if not plaintext and not on_loopback(target):
            raise ValueError(
                f"{target} is not on this machine's loopback, and plaintext shows prompts and tokens to whoever is on the way: "
                "give tls=Tls(ca=...) for a router with ROUTER_TLS_CERT, or plaintext=True where only machines you trust reach "
                "that network, as a router says of its own by ROUTER_TRUSTED_NETWORK"
            )
        return Way(target, None, metadata, OPTIONS)
    if plaintext:
        raise ValueError("plaintext: there is none where tls is given")
    if (tls.cert is None) != (tls.key is None):
        raise ValueError(f"tls: {'key' if tls.key is None else 'cert'} is needed as well, for the other is given")
    name = [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []
    credentials = grpc.ssl_channel_credentials(_pem("ca", tls.ca), _pem("key", tls.key), _pem("cert", tls.cert))
    return Way(target, credentials, metadata, [*OPTIONS, *name])


def on_loopback(target: str) -> bool:
    """Whether every address of a gRPC target, such as dns:///localhost:50051 or ipv4:127.0.0.1:1,127.0.0.2:2, is loopback."""
    scheme, _, rest = target.partition(":")
    if scheme in ("unix", "unix-abstract"):
        return True
    places = rest if scheme in ("dns", "ipv4", "ipv6") else target
    # dns://authority/host:port names a server of names first.
    return all(_is_loopback(place) for place in places.rpartition("/")[2].split(","))


def _is_loopback(place: str) -> bool:
    bracketed = re.fullmatch(r"\[(.+)\](?::\d+)?", place)
    host = bracketed[1] if bracketed else place if place.count(":") > 1 else place.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _pem(name: str, given: Pem | None) -> bytes | None:
    if isinstance(given, str) and "-----BEGIN" in given:
        # As a file that is not there it would be repeated, and it may be a key.
        raise ValueError(f"tls: {name} is PEM in a str, which would be a file's path; give PEM as bytes")
    return given if given is None or isinstance(given, bytes) else Path(given).read_bytes()
