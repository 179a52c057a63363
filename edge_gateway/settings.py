"""The edge's settings: read once from the environment and EDGE_CONFIG, checked before it listens."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from edge_gateway.adaptations import RULES
from edge_gateway.providers import ProviderEntry
from edge_gateway.tracing.settings import TraceSettings

SHIPPED_CONFIG = Path(__file__).with_name("edge.toml")
HOSTED_PORTKEY = "https://api.portkey.ai/v1"
HIGHEST_PORT = 65535
LOCAL_PORTKEY = "http://127.0.0.1:8787/v1"


class InvalidSetting(Exception):
    """A setting that cannot be used; the message names it."""


def _host_and_port(value: str) -> str:
    port = value.rpartition(":")[2]
    if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+):\d{1,5}", value) or int(port) > HIGHEST_PORT:
        raise ValueError(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8080")
    return value


def _host_and_port_or_off(value: str) -> str:
    return "" if value in ("", "off") else _host_and_port(value)


def _redis_address(value: SecretStr | None) -> SecretStr | None:
    """The address may hold a password, so it is not repeated."""
    if value is None:
        return None
    try:
        parts = urlsplit(value.get_secret_value())
        good = parts.scheme in ("redis", "rediss", "unix") and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("it is no address such as redis://127.0.0.1:6379/0")
    return value


class Settings(TraceSettings):
    """One attribute a variable; .env.example says what each means. Times are seconds."""

    model_config = SettingsConfigDict(env_ignore_empty=True, populate_by_name=True)

    listen: Annotated[str, AfterValidator(_host_and_port)] = Field(
        default="127.0.0.1:8080", validation_alias="EDGE_LISTEN"
    )
    page_listen: Annotated[str, AfterValidator(_host_and_port_or_off)] = Field(
        default="", validation_alias="EDGE_PAGE_LISTEN"
    )
    page_operators: str = Field(default="", validation_alias="EDGE_PAGE_OPERATORS")
    metrics_listen: Annotated[str, AfterValidator(_host_and_port_or_off)] = Field(
        default="", validation_alias="EDGE_METRICS_LISTEN"
    )
    router: str = Field(default="dns:///127.0.0.1:50051", validation_alias="EDGE_ROUTER")
    router_ca: str = Field(default="", validation_alias="EDGE_ROUTER_CA")
    router_cert: str = Field(default="", validation_alias="EDGE_ROUTER_CERT")
    router_key: str = Field(default="", validation_alias="EDGE_ROUTER_KEY")
    router_token: SecretStr | None = Field(default=None, validation_alias="EDGE_ROUTER_TOKEN")
    config: str = Field(default="", validation_alias="EDGE_CONFIG")
    portkey_key: SecretStr | None = Field(default=None, validation_alias="PORTKEY_API_KEY")
    portkey_url: str = Field(default="", validation_alias="PORTKEY_BASE_URL")
    portkey_gateway: str = Field(default=LOCAL_PORTKEY, validation_alias="EDGE_PORTKEY_GATEWAY")
    router_deadline: float = Field(default=1.5, gt=0, le=60, validation_alias="EDGE_ROUTER_DEADLINE_SECONDS")
    router_hedge: float = Field(default=0.3, gt=0, le=60, validation_alias="EDGE_ROUTER_HEDGE_SECONDS")
    router_ping: float = Field(default=0.5, gt=0, le=60, validation_alias="EDGE_ROUTER_PING_SECONDS")
    first_byte_timeout: float = Field(default=60.0, gt=0, le=590, validation_alias="EDGE_FIRST_BYTE_TIMEOUT_SECONDS")
    first_token_timeout: float = Field(default=180.0, gt=0, le=590, validation_alias="EDGE_FIRST_TOKEN_TIMEOUT_SECONDS")
    answer_timeout: float = Field(default=300.0, gt=0, le=590, validation_alias="EDGE_ANSWER_TIMEOUT_SECONDS")
    total_timeout: float = Field(default=590.0, gt=0, le=890, validation_alias="EDGE_TOTAL_TIMEOUT_SECONDS")
    idle_timeout: float = Field(default=60.0, gt=0, le=590, validation_alias="EDGE_IDLE_TIMEOUT_SECONDS")
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, validation_alias="EDGE_MAX_BODY_BYTES")
    conversations: int = Field(default=10_000, ge=1, le=1_000_000, validation_alias="EDGE_CONVERSATIONS")
    conversation_idle: float = Field(
        default=86_400.0, gt=0, le=2_592_000, validation_alias="EDGE_CONVERSATION_IDLE_SECONDS"
    )
    portkey_feedback: bool = Field(default=False, validation_alias="EDGE_PORTKEY_FEEDBACK")
    routing_characters: int = Field(default=8000, ge=0, le=200_000, validation_alias="EDGE_ROUTING_CHARACTERS")

    api_keys_file: str = Field(default="", validation_alias="EDGE_API_KEYS_FILE")
    limit_wait: float = Field(default=5.0, ge=0, le=60, validation_alias="EDGE_LIMIT_WAIT_SECONDS")
    redis_url: Annotated[SecretStr | None, AfterValidator(_redis_address)] = Field(
        default=None, validation_alias="EDGE_REDIS_URL"
    )
    redis_timeout: float = Field(default=1.0, gt=0, le=60, validation_alias="EDGE_REDIS_TIMEOUT_SECONDS")
    cache_timeout: float = Field(default=0.1, gt=0, le=60, validation_alias="EDGE_CACHE_TIMEOUT_SECONDS")
    cache_seconds: float = Field(default=300.0, ge=0, le=86_400, validation_alias="EDGE_CACHE_SECONDS")
    cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0, le=2**36, validation_alias="EDGE_CACHE_BYTES")
    cache_answer_bytes: int = Field(default=1024 * 1024, ge=1, le=2**26, validation_alias="EDGE_CACHE_ANSWER_BYTES")
    circuit_failures: int = Field(default=3, ge=0, le=1000, validation_alias="EDGE_CIRCUIT_FAILURES")
    retry_share: float = Field(default=0.1, ge=0, le=10, validation_alias="EDGE_RETRY_SHARE")

    trusted_network: bool = Field(default=False, validation_alias="EDGE_TRUSTED_NETWORK")
    header_timeout: float = Field(default=10.0, gt=0, le=600, validation_alias="EDGE_HEADER_TIMEOUT_SECONDS")
    body_timeout: float = Field(default=30.0, gt=0, le=600, validation_alias="EDGE_BODY_TIMEOUT_SECONDS")
    write_timeout: float = Field(default=60.0, gt=0, le=600, validation_alias="EDGE_WRITE_TIMEOUT_SECONDS")
    max_connections: int = Field(default=2000, ge=1, validation_alias="EDGE_MAX_CONNECTIONS")
    max_connections_per_address: int = Field(default=0, ge=0, validation_alias="EDGE_MAX_CONNECTIONS_PER_ADDRESS")
    max_requests: int = Field(default=2000, ge=1, validation_alias="EDGE_MAX_REQUESTS")
    max_lag: float = Field(default=0.003, gt=0, le=60, validation_alias="EDGE_MAX_LAG_SECONDS")
    drain: float = Field(default=30.0, ge=0, le=890, validation_alias="EDGE_DRAIN_SECONDS")
    gateway_token: SecretStr | None = Field(default=None, validation_alias="PORTKEY_GATEWAY_TOKEN")

    @property
    def hosted(self) -> bool:
        """Whether Portkey is its own service, rather than its open-source gateway."""
        return self.portkey_key is not None

    @property
    def portkey_base_url(self) -> str:
        """Where Portkey is: as set, else hosted when there is a key for it, else the open-source gateway next door."""
        return self.portkey_url or (HOSTED_PORTKEY if self.portkey_key else self.portkey_gateway)

    @property
    def feedback_base_url(self) -> str:
        """Where to tell Portkey how replies fared; empty unless that is wanted and a key for hosted Portkey is set."""
        return self.portkey_base_url if self.portkey_feedback and self.portkey_key else ""


def check_exposure(settings: Settings) -> None:
    """Refuse to let strangers in, or to send prompts and keys in the clear, unless the network is said to be trusted."""
    if problem := settings.trace_problem(trusted=settings.trusted_network):
        raise InvalidSetting(problem)
    if settings.trusted_network:
        return
    trust = "or, where only machines you trust reach this network (a container's own), set EDGE_TRUSTED_NETWORK=true"
    if not settings.api_keys_file and not _is_loopback(_host_of(settings.listen)):
        raise InvalidSetting(
            f"EDGE_LISTEN: {settings.listen} can be reached from other machines, and anyone there could spend your keys: set "
            f'EDGE_API_KEYS_FILE (`make keys ARGS="make NAME"` writes such a file), listen on 127.0.0.1, {trust}'
        )
    if settings.page_listen and not settings.api_keys_file and not _is_loopback(_host_of(settings.page_listen)):
        raise InvalidSetting(
            f"EDGE_PAGE_LISTEN: {settings.page_listen} can be reached from other machines, and anyone there could see what is "
            f"decided and ask the router: set EDGE_API_KEYS_FILE, listen on 127.0.0.1, {trust}"
        )
    if settings.metrics_listen and not _is_loopback(settings.metrics_listen.rpartition(":")[0].strip("[]")):
        raise InvalidSetting(
            f"EDGE_METRICS_LISTEN: {settings.metrics_listen} can be reached from other machines, and metrics are for whoever "
            f"operates this alone: listen on 127.0.0.1, {trust}"
        )
    strange = [host for host in _hosts_of(settings.router) if not _is_loopback(host)]
    if strange and not settings.router_ca:
        raise InvalidSetting(
            f"EDGE_ROUTER: {strange[0]} is another machine, and without TLS anyone on the way could read the prompts: set "
            f"EDGE_ROUTER_CA, {trust}"
        )
    portkey = urlsplit(settings.portkey_base_url)
    if portkey.scheme != "https" and not _is_loopback(portkey.hostname or ""):
        raise InvalidSetting(
            f"PORTKEY_BASE_URL: {portkey.hostname} is another machine, and without https anyone on the way could read prompts "
            f"and keys: give an https address, {trust}"
        )


def _host_of(listen: str) -> str:
    return listen.rpartition(":")[0].strip("[]")


def _hosts_of(target: str) -> list[str]:
    """The hosts of a gRPC target, such as dns:///router:50051 or ipv4:10.0.0.1:50051,10.0.0.2:50051; none of a socket file."""
    scheme, colon, rest = target.partition(":")
    if scheme in ("unix", "unix-abstract"):
        return []
    known = scheme in ("dns", "ipv4", "ipv6") and colon
    addresses = (rest if known else target).rpartition("/")[2].split(",")
    hosts = [address.rpartition(":")[0] if re.search(r":\d+$", address) else address for address in addresses]
    return [unquote(host).strip("[]") for host in hosts]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class CacheEntry(BaseModel):
    """Hosted Portkey's own cache; `max_age` in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["simple", "semantic"]
    max_age: int | None = Field(default=None, gt=0)


class PortkeyEntry(BaseModel):
    """The [portkey] table of the configuration; edge.toml says what each value means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cache: CacheEntry | None = None
    input_guardrails: tuple[str | dict[str, Any], ...] = ()
    output_guardrails: tuple[str | dict[str, Any], ...] = ()


class Config(BaseModel):
    """The shipped configuration with EDGE_CONFIG laid over it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    providers: Mapping[str, ProviderEntry]
    default_order: Mapping[str, tuple[str, ...]]
    adaptations: Mapping[str, tuple[str, ...]]
    portkey: PortkeyEntry

    @field_validator("adaptations")
    @classmethod
    def _known(cls, adaptations: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        unknown = [name for name in adaptations if name not in RULES]
        if unknown:
            raise ValueError(f"there is no rule {unknown[0]}; the rules are {', '.join(RULES)}")
        return adaptations


def load() -> Settings:
    """Read the settings; InvalidSetting names the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"{item['loc'][0]}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()]
        raise InvalidSetting("; ".join(problems)) from None


def load_config(path: str) -> Config:
    """Read the configuration; InvalidSetting names the file and the field that is wrong."""
    document = _read(SHIPPED_CONFIG)
    if path:
        for section, tables in _read(Path(path)).items():
            if not isinstance(tables, dict) or section not in document:
                known = ", ".join(f"[{name}]" for name in document)
                raise InvalidSetting(f"EDGE_CONFIG: {path} may hold the tables {known}; {section} is none of them")
            merged = document[section]
            for name, value in tables.items():
                both = isinstance(value, dict) and isinstance(merged.get(name), dict)
                merged[name] = {**merged[name], **value} if both else value
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc']))}: {_words(dict(item))}" for item in error.errors()[:5]]
        raise InvalidSetting(f"EDGE_CONFIG ({path or SHIPPED_CONFIG.name}): {'; '.join(problems)}") from None


def environment() -> Mapping[str, str]:
    """The process's environment, for the providers' keys."""
    return os.environ


def _words(item: Mapping[str, Any]) -> str:
    """One complaint of the model's, in the words of a TOML file."""
    told = {
        "extra_forbidden": "there is no such field; edge.toml lists them",
        "tuple_type": "it is to be a list: [...]",
    }
    return told.get(item["type"]) or str(item["msg"]).removeprefix("Value error, ")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"EDGE_CONFIG: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"EDGE_CONFIG: {path} is not TOML: {error}") from None
