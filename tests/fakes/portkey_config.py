"""What a config for hosted Portkey may say: our own strict statement of the fields the edge may send, and no other.

Stricter than Portkey's documented schema in each respect, so what is taken here is taken there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Status = Annotated[int, Field(ge=100, le=599)]
Params = dict[str, Any]
# Of these sets of fields a config has at least one whole, each target too.
COMBINATIONS = (
    {"provider", "api_key"},
    {"provider", "custom_host"},
    {"virtual_key"},
    {"strategy", "targets"},
    {"cache"},
    {"retry"},
    {"forward_headers"},
    {"request_timeout"},
    {"input_guardrails"},
    {"output_guardrails"},
    {"default_params"},
    {"drop_params"},
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_null(cls, values: Any) -> Any:
        nulls = [name for name, value in values.items() if value is None] if isinstance(values, dict) else []
        if nulls:
            raise ValueError(f"{', '.join(nulls)} must be left out rather than null")
        return values


class Strategy(_Part):
    """How targets are gone through; without on_status_codes every status that is no success leads to the next."""

    mode: Literal["single", "loadbalance", "fallback"]
    on_status_codes: list[Status] | None = None


class Cache(_Part):
    """Whether an equal request is answered from memory, for `max_age` seconds."""

    mode: Literal["simple", "semantic"]
    max_age: Annotated[int, Field(ge=1)] | None = None


class Retry(_Part):
    """How often a target is asked again, and on which statuses."""

    attempts: Annotated[int, Field(ge=0, le=5)]
    on_status_codes: list[Status] | None = None
    use_retry_after_headers: bool | None = None


class Config(_Part):
    """A config, or a target in one; `request_timeout` is in milliseconds."""

    strategy: Strategy | None = None
    targets: Annotated[list[Config], Field(min_length=1)] | None = None
    name: str | None = None
    provider: str | None = None
    api_key: str | None = None
    virtual_key: str | None = None
    custom_host: str | None = None
    override_params: Params | None = None
    default_params: Params | None = None
    drop_params: list[str] | None = None
    request_timeout: Annotated[int, Field(ge=1)] | None = None
    cache: Cache | None = None
    retry: Retry | None = None
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    input_guardrails: list[str] | None = None
    output_guardrails: list[str] | None = None
    forward_headers: list[str] | None = None
    strict_open_ai_compliance: bool | None = None

    @model_validator(mode="after")
    def _says_enough(self) -> Config:
        if (self.strategy is None) != (self.targets is None):
            raise ValueError("strategy and targets go together")
        if not any(combination <= self.model_fields_set for combination in COMBINATIONS):
            raise ValueError(f"it needs one of {'; '.join(' and '.join(sorted(one)) for one in COMBINATIONS)}")
        return self
