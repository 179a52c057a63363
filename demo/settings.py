"""Reads where the demo models listen and how fast they speak."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LAST_PORT = 65535


class Settings(BaseSettings):
    """The environment: `DEMO_LISTEN` and `DEMO_PACE`."""

    model_config = SettingsConfigDict(env_prefix="DEMO_")

    listen: str = "127.0.0.1:8090"
    pace: float = Field(default=1.0, ge=0, le=100)

    @field_validator("listen")
    @classmethod
    def _has_host_and_port(cls, listen: str) -> str:
        host, _, port = listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > _LAST_PORT:
            raise ValueError(f"must be host:port, not {listen!r}")
        return listen

    @property
    def host(self) -> str:
        """The address to bind, without the brackets of IPv6."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to bind."""
        return int(self.listen.rpartition(":")[2])
