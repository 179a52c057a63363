"""Whether and where traces are sent: OpenTelemetry's own variables, and one of ours for what must not be in them unasked."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings

PROTOCOL = "http/protobuf"
SAMPLERS = ("always_on", "always_off", "traceidratio")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class TraceSettings(BaseSettings):
    """What decides whether there is a tracer; the SDK reads these variables and its others by itself."""

    trace_endpoint: str = Field(default="", validation_alias=AliasChoices(*ENDPOINTS))
    trace_protocol: str = Field(default=PROTOCOL, validation_alias=AliasChoices(*PROTOCOLS))
    trace_exporter: str = Field(default="otlp", validation_alias="OTEL_TRACES_EXPORTER")
    trace_sampler: str = Field(default="", validation_alias="OTEL_TRACES_SAMPLER")
    trace_sampler_arg: str = Field(default="", validation_alias="OTEL_TRACES_SAMPLER_ARG")
    otel_disabled: bool = Field(default=False, validation_alias="OTEL_SDK_DISABLED")
    trace_contents: bool = Field(default=False, validation_alias="EDGE_TRACE_CONTENTS")

    @property
    def traced(self) -> bool:
        """Whether traces are sent."""
        return bool(self.trace_endpoint) and self.trace_exporter != "none" and not self.otel_disabled

    def trace_problem(self, *, trusted: bool) -> str:
        """What is wrong with them, naming the variable, where traces are sent; `trusted`: the network may see contents."""
        if not self.traced:
            return ""
        where = _address(self.trace_endpoint)
        if where is None:
            return f"{' or '.join(ENDPOINTS)}: it is no address such as http://127.0.0.1:4318"
        if self.trace_protocol != PROTOCOL:
            return f"{' or '.join(PROTOCOLS)}: {self.trace_protocol!r} is not spoken here; give {PROTOCOL}"
        if self.trace_exporter != "otlp":
            return f"OTEL_TRACES_EXPORTER: {self.trace_exporter!r} is not known here; give otlp or none"
        if self.trace_sampler and self.trace_sampler.removeprefix("parentbased_") not in SAMPLERS:
            known = ", ".join((*SAMPLERS, *(f"parentbased_{name}" for name in SAMPLERS)))
            return f"OTEL_TRACES_SAMPLER: {self.trace_sampler!r} is not known here; give one of {known}"
        if self.trace_sampler.endswith("traceidratio") and not _is_share(self.trace_sampler_arg or "1"):
            return f"OTEL_TRACES_SAMPLER_ARG: {self.trace_sampler_arg!r} is no share between 0 and 1"
        if self.trace_contents and where.scheme != "https" and not trusted and not _is_loopback(where.hostname or ""):
            return (
                f"EDGE_TRACE_CONTENTS: {where.hostname} is another machine, and without https anyone on the way could read "
                "prompts: give an https address, or, where only machines you trust reach this network, set "
                "EDGE_TRUSTED_NETWORK=true"
            )
        return ""


def _address(url: str) -> SplitResult | None:
    try:
        where = urlsplit(url)
        known = where.scheme in ("http", "https") and bool(where.hostname) and (where.port or 1) > 0
    except ValueError:
        return None
    return where if known else None


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
