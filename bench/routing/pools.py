"""Which models compete in a replay, by which priors the policy judges them, and the catalogue made of both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from bench.routing.tables import Table
from router_service.catalog import Catalog, Prior, parse
from router_service.settings import load_catalog

PROFILE = "bench"
# Output tokens of every expected reply: the prices below are made so that the expected cost is the mean cost per task.
TOKENS = 1000
# There are no records of a second try by the same model, so a failure earns none here, unless the second try is modelled.
NO_SECOND_TRY = 1.01


@dataclass(frozen=True, slots=True)
class Pool:
    """Models of a table by the name of their prior ("" where none has been measured), and the trade-off they compete at.

    `cheap` and `strong` are what the random mix mixes. `priors` are the router's own names of Aider's polyglot runs.
    """

    name: str
    priors: Mapping[str, str]
    cheap: str
    strong: str
    tradeoff: int = 3
    note: str = ""


OPUS_4 = "claude-opus-4-20250514 (32k thinking)"
SONNET_4 = "claude-sonnet-4-20250514 (32k thinking)"
GEMINI_2_5 = "gemini-2.5-pro-preview-06-05 (default think)"
QWEN_3 = "Qwen3 235B A22B diff, no think, Alibaba API"
DEEPSEEK_CHAT, DEEPSEEK_REASONER = "DeepSeek-V3.2-Exp (Chat)", "DeepSeek-V3.2-Exp (Reasoner)"
# As router.toml judges them: a model without a run of its own by its nearest measured relative.
SWEBENCH_PRIORS = {
    "DeepSeek V3.2 Reasoner": DEEPSEEK_CHAT,
    "GPT-5 mini (2025-08-07) (medium reasoning)": "o4-mini (high)",
    "GPT-5 (2025-08-07) (medium reasoning)": "gpt-5 (medium)",
    "Gemini 3 Pro Preview (2025-11-18)": GEMINI_2_5,
    "Claude 4.5 Sonnet (20250929)": SONNET_4,
    "Claude 4.5 Opus medium (20251101)": OPUS_4,
    "Kimi K2 Instruct": "Kimi K2",
    "o4-mini (2025-04-16)": "o4-mini (high)",
    "o3 (2025-04-16)": "o3",
    "gpt-oss-120b": "gpt-oss-120b (high)",
}
CODEROUTERBENCH_PRIORS = {
    "claude-opus-4-6": OPUS_4,
    "claude-sonnet-4-6": SONNET_4,
    "gpt-5.4": "gpt-5 (medium)",
    "glm-5": "",
    "kimi-k2.5": "Kimi K2",
    "MiniMax-M2.7": "",
    "Qwen3-Max": QWEN_3,
    "qwen3.5-plus": QWEN_3,
}
DEEPSEEK, GPT_5_MINI, GPT_5, GEMINI, SONNET, OPUS, KIMI, O4_MINI, O3, OSS = SWEBENCH_PRIORS


def _pair(cheap: str, strong: str, priors: Mapping[str, str], note: str = "", **changed: str) -> Pool:
    named = {
        model: changed.get("prior", priors[model]) if model == cheap else priors[model] for model in (cheap, strong)
    }
    return Pool(f"{_short(cheap)} → {_short(strong)}{note and ' *'}", named, cheap, strong, note=note)


def _short(model: str) -> str:
    return re.sub(r" (medium|Preview|Instruct|\(.*)", "", model)


SWEBENCH_POOLS = (
    _pair(DEEPSEEK, OPUS, SWEBENCH_PRIORS),
    _pair(
        DEEPSEEK,
        OPUS,
        SWEBENCH_PRIORS,
        "judged by the Reasoner's own polyglot run, above Opus 4's",
        prior=DEEPSEEK_REASONER,
    ),
    _pair(DEEPSEEK, GEMINI, SWEBENCH_PRIORS),
    _pair(GPT_5_MINI, GPT_5, SWEBENCH_PRIORS),
    _pair(GPT_5_MINI, OPUS, SWEBENCH_PRIORS, "equal priors: o4-mini's and Opus 4's runs both came to 72.0"),
    _pair(O4_MINI, O3, SWEBENCH_PRIORS),
    _pair(OSS, SONNET, SWEBENCH_PRIORS),
    Pool(
        "pool of 6",
        {model: SWEBENCH_PRIORS[model] for model in (DEEPSEEK, GPT_5_MINI, GPT_5, GEMINI, SONNET, OPUS)},
        DEEPSEEK,
        OPUS,
    ),
)
CODEROUTERBENCH_POOLS = (
    _pair("Qwen3-Max", "claude-opus-4-6", CODEROUTERBENCH_PRIORS),
    _pair("Qwen3-Max", "gpt-5.4", CODEROUTERBENCH_PRIORS),
    _pair("kimi-k2.5", "claude-opus-4-6", CODEROUTERBENCH_PRIORS),
    Pool(
        "pool of 5",
        {
            m: CODEROUTERBENCH_PRIORS[m]
            for m in ("Qwen3-Max", "kimi-k2.5", "claude-sonnet-4-6", "gpt-5.4", "claude-opus-4-6")
        },
        "Qwen3-Max",
        "claude-opus-4-6",
    ),
)
# The pair of which it is asked that it gain at least so many points over the mix, at this verifier.
TARGET_POOL, TARGET_VERIFIER, TARGET_GAIN = SWEBENCH_POOLS[0].name, ".7/.1", 5.0
HAND_MADE_POOLS = (Pool("small → large", {"small": "gpt-4.1", "large": "o3"}, "small", "large"),)


def model_id(model: str) -> str:
    """A table's model as the router names it."""
    return "bench/" + re.sub(r"[^\w.-]+", "-", model).strip("-")


def prior_quality(prior: str) -> float | None:
    """The share of tasks that a prior says are solved, 0 to 1; None where it is not a measured one."""
    found = _shipped().prior_by_name.get(prior)
    return None if found is None else found.pass_rate_2 / 100


def retry_success(prior: str) -> float:
    """The share of a model's failures that its second try mended in Aider's benchmark, as the router takes it."""
    shipped = _shipped()
    return (shipped.prior_by_name.get(prior) or shipped.assumed_prior).retry_success / 100


def catalog_of(table: Table, pool: Pool, learning: str, second_tries: bool = False) -> Catalog:
    """The catalogue of one replay; `learning` is the profile's learning mode, `second_tries` lets the shipped rule grant them.

    The expected costs are the table's means: the policy is told what a task costs on each model, never how well it does.
    """
    models = [
        {
            "id": model_id(model),
            "context_tokens": 1_000_000,
            "max_output_tokens": 100_000,
            "input_usd_per_mtok": 0,
            "output_usd_per_mtok": table.cost(model) * 1_000_000 / TOKENS,
            "prior": prior,
            "prior_kind": "measured" if prior else "assumed",
            "source": table.source,
            "checked": "2025-12-10",
        }
        for model, prior in pool.priors.items()
    ]
    profile = {
        "candidates": ["bench/*"],
        "cost_quality_tradeoff": pool.tradeoff,
        "not_diamond": False,
        "escalation": {} if second_tries else {"second_try": NO_SECOND_TRY},
        "learning": {"mode": learning},
    }
    # Without their lengths: the costs above are those of whole tasks, reasoning and all.
    priors = [Prior.model_copy(prior, update={"output_tokens": None}) for prior in _shipped().priors]
    document = {
        "schema": 1,
        "models": models,
        "priors": [prior.model_dump() for prior in priors],
        "profiles": {PROFILE: profile},
        "expected_output_tokens": {"code": TOKENS},
    }
    return parse(document)


@cache
def _shipped() -> Catalog:
    """The catalogue as it comes with the router: its priors are Aider's polyglot runs."""
    return load_catalog("")
