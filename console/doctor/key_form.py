"""Tells by its form alone whether a text can be a provider's key; the text itself is never repeated."""

from __future__ import annotations

import re

# How a key begins, where its provider has all of them begin so.
BEGINNINGS = {
    "ANTHROPIC_API_KEY": ("sk-ant-",),
    "OPENAI_API_KEY": ("sk-",),
    "DEEPSEEK_API_KEY": ("sk-",),
    "GROQ_API_KEY": ("gsk_",),
    "XAI_API_KEY": ("xai-",),
}
# Beginnings that one provider alone has.
OWNERS = {"sk-ant-": "ANTHROPIC_API_KEY", "gsk_": "GROQ_API_KEY", "xai-": "XAI_API_KEY", "AIza": "GEMINI_API_KEY"}
SHORTEST = 16
PLACEHOLDER = re.compile(r"your|change.?me|placeholder|example|insert|xxxx|\.\.\.|…|<|>", re.IGNORECASE)


def wrong_form(variable: str, value: str) -> str:
    """What speaks against it, in words that do not repeat it; empty when it may be a key."""
    if value != value.strip() or re.search(r"\s", value):
        return "holds white space"
    if not value.isascii() or not value.isprintable():
        return "holds characters that no key has"
    if value[0] in "\"'" or value[-1] in "\"'":
        return "holds quotation marks"
    if PLACEHOLDER.search(value):
        return "is a placeholder"
    if value.lower().startswith("bearer"):
        return "begins with Bearer; the key alone belongs there"
    if len(value) < SHORTEST:
        return f"has {len(value)} characters, fewer than any key"
    for beginning, owner in OWNERS.items():
        if value.startswith(beginning) and owner != variable and variable in BEGINNINGS:
            return f"has the form of {owner}"
    if variable in BEGINNINGS and not value.startswith(BEGINNINGS[variable]):
        return f"does not begin with {BEGINNINGS[variable][0]}"
    return ""
