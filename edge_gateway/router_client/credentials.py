"""The edge's end of TLS to the router: the files it is configured with, followed when they are replaced."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import grpc

from edge_gateway.settings import InvalidSetting, Settings
from edge_gateway.stamps import Stamp, stamp

Tell = Callable[[str, Mapping[str, object]], None]
Renew = Callable[[grpc.ChannelCredentials], Awaitable[None]]

AUTHORITY, KEY, CERTIFICATE = "EDGE_ROUTER_CA", "EDGE_ROUTER_KEY", "EDGE_ROUTER_CERT"
# Seconds between two looks at the files.
INTERVAL = 1.0


class RouterCredentials:
    """Whom the edge takes for its router, and by what it shows who it is."""

    def __init__(self, settings: Settings) -> None:
        """InvalidSetting names the variable whose file cannot be used."""
        self._authority = settings.router_ca
        self._key = settings.router_key
        self._certificate = settings.router_cert
        if not self._authority and (self._key or self._certificate):
            name = KEY if self._key else CERTIFICATE
            raise InvalidSetting(f"{AUTHORITY}: TLS needs it as well, since {name} is set")
        for name, path, other in ((KEY, self._key, CERTIFICATE), (CERTIFICATE, self._certificate, KEY)):
            if not path and (self._key or self._certificate):
                raise InvalidSetting(f"{name}: TLS needs it as well, since {other} is set")
        self._seen = self._stamps()
        self.current = self._read()

    async def follow(self, renew: Renew, tell: Tell) -> None:
        """Give new credentials to `renew` whenever the files were replaced by others that can be used, until cancelled."""
        while self._authority:
            await asyncio.sleep(INTERVAL)
            stamps = self._stamps()
            if stamps == self._seen:
                continue
            self._seen = stamps
            try:
                self.current = self._read()
            except InvalidSetting as error:
                # A certificate and its key are replaced one after the other; between the two they do not match.
                tell("certificate_refused", {"problem": str(error), "using": "the files before"})
                continue
            if self.current is not None:
                tell("certificate_loaded", {"authority": self._authority})
                await renew(self.current)

    def _read(self) -> grpc.ChannelCredentials | None:
        if not self._authority:
            return None
        authority = _bytes_of(AUTHORITY, self._authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=authority.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            raise InvalidSetting(f"{AUTHORITY}: {self._authority} holds no certificate in PEM form") from None
        if not self._key:
            return grpc.ssl_channel_credentials(authority)
        key, certificate = _bytes_of(KEY, self._key), _bytes_of(CERTIFICATE, self._certificate)
        try:
            # Given a passphrase, even an empty one, OpenSSL does not ask the terminal for it.
            context.load_cert_chain(self._certificate, self._key, password="")
        except ssl.SSLError:
            problem = f"{self._key} is not the key, in PEM form without a passphrase, of the certificate in {self._certificate}"
            raise InvalidSetting(f"{KEY}: {problem}") from None
        return grpc.ssl_channel_credentials(authority, key, certificate)

    def _stamps(self) -> tuple[Stamp | None, ...]:
        return tuple(stamp(Path(path)) for path in (self._authority, self._key, self._certificate) if path)


def together(*all_of_them: Renew) -> Renew:
    """What gives new credentials to each of several."""

    async def renew(credentials: grpc.ChannelCredentials) -> None:
        await asyncio.gather(*(each(credentials) for each in all_of_them))

    return renew


def _bytes_of(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidSetting(f"{variable}: {path} cannot be read: {error.strerror}") from None
