"""What the user has set, read once from the environment and `.env`: addresses, keys, parts of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from launcher.errors import LaunchError
from launcher.ports import Address, parse_address

PROVIDER_KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "MISTRAL_API_KEY",
    "MOONSHOT_API_KEY",
    "ZAI_API_KEY",
    "DASHSCOPE_API_KEY",
    "GROQ_API_KEY",
    "MINIMAX_API_KEY",
)
NOT_DIAMOND_KEYS = ("NOT_DIAMOND_API_KEY", "NOTDIAMOND_API_KEY")
DEFAULT_OLLAMA_PORT = 11434


@dataclass(frozen=True)
class Settings:
    """The checked settings; `environment` is all of it, for the processes that are started.

    `edge_metrics`, `router_metrics`, `page`: where they show their metrics, and the page, None for nowhere.
    """

    environment: Mapping[str, str]
    router: Address
    portkey: Address
    demo: Address
    edge: Address
    page: Address | None
    edge_router: str
    portkey_base_url: str
    ollama_url: str
    edge_metrics: Address | None
    router_metrics: Address | None

    @property
    def provider_keys(self) -> tuple[str, ...]:
        """The provider keys that are set, by name."""
        return tuple(name for name in PROVIDER_KEYS if self.environment.get(name))

    @property
    def not_diamond(self) -> bool:
        """Whether Not Diamond is asked for recommendations."""
        return any(self.environment.get(name) for name in NOT_DIAMOND_KEYS)

    @property
    def hosted_portkey(self) -> bool:
        """Whether requests go through Portkey's own service."""
        return bool(self.environment.get("PORTKEY_API_KEY"))

    @property
    def asks_for_keys(self) -> bool:
        """Whether the edge lets in only clients with a key."""
        return bool(self.environment.get("EDGE_API_KEYS_FILE"))

    @property
    def metrics(self) -> list[Address]:
        """Where metrics are shown of what is started here."""
        shown = (self.edge_metrics, None if self.own_router else self.router_metrics)
        return [address for address in shown if address is not None]

    @property
    def beside(self) -> list[Address]:
        """Where anything is shown beside what the services are for."""
        return [*self.metrics, *([self.page] if self.page else ())]

    @property
    def own_router(self) -> bool:
        """Whether the edge asks a router that runs elsewhere."""
        return self.edge_router.rpartition("/")[2] != self.router.target

    @property
    def own_gateway(self) -> bool:
        """Whether the Portkey gateway, hosted or the user's, runs elsewhere."""
        default = urlsplit(default_base_url(self.portkey))
        return self.hosted_portkey or urlsplit(self.portkey_base_url)[:2] != default[:2]

    @property
    def gateway_is_near(self) -> bool:
        """Whether the gateway can reach models on this machine: the demo models and Ollama."""
        host = urlsplit(self.portkey_base_url).hostname
        return not self.hosted_portkey and host in {"127.0.0.1", "localhost", "::1"}


def read_environment(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The real environment over `.env`; a variable set to nothing counts as not set."""
    try:
        from_file = dotenv_values(root / ".env")
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"The file .env cannot be read: {error}.") from error
    merged = {**{name: value or "" for name, value in from_file.items()}, **environment}
    return {name: value for name, value in merged.items() if value or name not in from_file}


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Checks what is set and fills in the defaults."""

    def listen(variable: str, used_by: str, default: str) -> Address:
        return parse_address(variable, used_by, environment.get(variable) or default)

    def shown(variable: str, used_by: str, default: str) -> Address | None:
        value = environment.get(variable, default)
        return None if value in ("", "off") else parse_address(variable, used_by, value)

    router = listen("ROUTER_LISTEN", "router", "127.0.0.1:50051")
    portkey = listen("PORTKEY_LISTEN", "Portkey gateway", "127.0.0.1:8787")
    return Settings(
        environment=environment,
        router=router,
        portkey=portkey,
        demo=listen("DEMO_LISTEN", "demo models", "127.0.0.1:8090"),
        edge=listen("EDGE_LISTEN", "edge gateway", "127.0.0.1:8080"),
        page=shown("EDGE_PAGE_LISTEN", "page", "127.0.0.1:8081"),
        edge_router=environment.get("EDGE_ROUTER") or f"dns:///{router.target}",
        portkey_base_url=_http_url(environment, "PORTKEY_BASE_URL", default_base_url(portkey)),
        ollama_url=_ollama_url(environment),
        edge_metrics=shown("EDGE_METRICS_LISTEN", "edge gateway's metrics", "127.0.0.1:9464"),
        router_metrics=shown("ROUTER_METRICS_LISTEN", "router's metrics", "127.0.0.1:9465"),
    )


def default_base_url(portkey: Address) -> str:
    """Where the gateway started here is reached."""
    return f"http://{portkey.target}/v1"


def _http_url(environment: Mapping[str, str], variable: str, default: str) -> str:
    value = environment.get(variable) or default
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise LaunchError(f'{variable} must be an http or https address such as {default}; it is "{value}".')
    return value


def _ollama_url(environment: Mapping[str, str]) -> str:
    """OLLAMA_HOST as Ollama reads it: scheme and port may be missing, and 0.0.0.0 is this machine."""
    value = environment.get("OLLAMA_HOST") or f"127.0.0.1:{DEFAULT_OLLAMA_PORT}"
    url = _http_url({"OLLAMA_HOST": value if "//" in value else f"http://{value}"}, "OLLAMA_HOST", "")
    parts = urlsplit(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname or "", parts.hostname or "")
    port = parts.port or {"https": 443}.get(parts.scheme, DEFAULT_OLLAMA_PORT)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
