"""The router's settings: read once from the environment, checked before it listens."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from router_service import catalog
from router_service.errors import InvalidConfiguration
from router_service.tracing.settings import TraceSettings

SHIPPED_CATALOG = Path(__file__).with_name("router.toml")

HIGHEST_PORT = 65535


def _host_and_port(value: str) -> str:
    port = value.rpartition(":")[2]
    if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+):\d{1,5}", value) or int(port) > HIGHEST_PORT:
        raise ValueError(f"{value!r} is not HOST:PORT, such as 127.0.0.1:50051")
    return value


def _host_and_port_or_off(value: str) -> str:
    return "" if value in ("", "off") else _host_and_port(value)


class Settings(TraceSettings):
    """One attribute a variable; .env.example says what each means."""

    model_config = SettingsConfigDict(env_ignore_empty=True, populate_by_name=True)

    listen: Annotated[str, AfterValidator(_host_and_port)] = Field(
        default="127.0.0.1:50051", validation_alias="ROUTER_LISTEN"
    )
    metrics_listen: Annotated[str, AfterValidator(_host_and_port_or_off)] = Field(
        default="", validation_alias="ROUTER_METRICS_LISTEN"
    )
    config: str = Field(default="", validation_alias="ROUTER_CONFIG")
    not_diamond_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("NOT_DIAMOND_API_KEY", "NOTDIAMOND_API_KEY")
    )
    not_diamond_url: str | None = Field(default=None, validation_alias="NOTDIAMOND_BASE_URL")
    not_diamond_budget: float = Field(default=0.8, gt=0, le=30, validation_alias="ROUTER_NOT_DIAMOND_BUDGET_SECONDS")
    default_deadline: float = Field(default=2.0, gt=0, le=60, validation_alias="ROUTER_DEFAULT_DEADLINE_SECONDS")
    kept_decisions: int = Field(default=10_000, ge=1, validation_alias="ROUTER_KEPT_DECISIONS")
    connection_age: float = Field(default=30.0, gt=0, validation_alias="ROUTER_MAX_CONNECTION_AGE_SECONDS")
    drain: float = Field(default=1.0, ge=0, validation_alias="ROUTER_DRAIN_SECONDS")
    redis_url: str = Field(default="", validation_alias="ROUTER_REDIS_URL")
    redis_timeout: float = Field(default=0.05, gt=0, le=60, validation_alias="ROUTER_REDIS_TIMEOUT_SECONDS")
    ledger_url: str = Field(default="sqlite:///var/router.sqlite", validation_alias="ROUTER_LEDGER_URL")
    ledger_contents: Literal["none", "hash", "clipped"] = Field(
        default="none", validation_alias="ROUTER_LEDGER_CONTENTS"
    )
    ledger_retention_days: float = Field(default=0, ge=0, validation_alias="ROUTER_LEDGER_RETENTION_DAYS")
    not_diamond_cache: float = Field(default=300, ge=0, validation_alias="ROUTER_NOT_DIAMOND_CACHE_SECONDS")
    not_diamond_failures: int = Field(default=5, ge=1, validation_alias="ROUTER_NOT_DIAMOND_FAILURES")
    not_diamond_rate: float = Field(default=10, gt=0, validation_alias="ROUTER_NOT_DIAMOND_RATE")
    not_diamond_hedge: float = Field(default=0, ge=0, validation_alias="ROUTER_NOT_DIAMOND_HEDGE_SECONDS")
    not_diamond_feedback: bool = Field(default=False, validation_alias="ROUTER_NOT_DIAMOND_FEEDBACK")
    tls_cert: str = Field(default="", validation_alias="ROUTER_TLS_CERT")
    tls_key: str = Field(default="", validation_alias="ROUTER_TLS_KEY")
    tls_client_ca: str = Field(default="", validation_alias="ROUTER_TLS_CLIENT_CA")
    tokens_file: str = Field(default="", validation_alias="ROUTER_TOKENS_FILE")
    trusted_network: bool = Field(default=False, validation_alias="ROUTER_TRUSTED_NETWORK")
    reflection: bool | None = Field(default=None, validation_alias="ROUTER_REFLECTION")
    max_calls: int = Field(default=1000, ge=1, validation_alias="ROUTER_MAX_CALLS")
    ledger_flush: float = Field(default=0.2, gt=0, le=60, validation_alias="ROUTER_LEDGER_FLUSH_SECONDS")


def load() -> Settings:
    """Read the settings; InvalidConfiguration names the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"{item['loc'][0]}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()]
        raise InvalidConfiguration("; ".join(problems)) from None


def load_catalog(paths: str) -> catalog.Catalog:
    """Read the shipped catalogue and lay the named files over it; `paths` is separated as PATH is."""
    documents = [_read(SHIPPED_CATALOG)]
    documents += [_read(Path(part)) for part in paths.split(os.pathsep) if part]
    try:
        return catalog.parse(catalog.merge(documents))
    except InvalidConfiguration as error:
        where = f"ROUTER_CONFIG ({paths})" if paths else str(SHIPPED_CATALOG.name)
        raise InvalidConfiguration(f"{where}: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration(f"ROUTER_CONFIG: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"ROUTER_CONFIG: {path} is not TOML: {error}") from None
