"""The rules by which a request is made to fit the model that gets it: one table, each rule by name, all else untouched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import msgspec

from edge_gateway import prompt_messages
from edge_gateway.chat_request import ChatRequest
from edge_gateway.forms import CHAT

TEMPERATURE, MAX_TOKENS, MAX_COMPLETION_TOKENS = "temperature", "max_tokens", "max_completion_tokens"
DROP_TEMPERATURE, RENAME_TO_NEW, RENAME_TO_OLD = "drop_temperature", "use_max_completion_tokens", "use_max_tokens"
ADD_MAX_TOKENS, MERGE_USER, ADD_MARKERS = "add_max_tokens", "merge_user_messages", "add_cache_markers"
# edge.toml says what each does, and for which models.
RULES = (DROP_TEMPERATURE, RENAME_TO_NEW, RENAME_TO_OLD, ADD_MAX_TOKENS, MERGE_USER, ADD_MARKERS)
# Models whose rules are remembered: a request looks up a dozen, and each has dozens of globs.
REMEMBERED = 10_000


class Asked(msgspec.Struct, frozen=True):
    """A request as far as the rules need it.

    `stable`: how many of the messages, from the first, the conversation's next request is expected to begin with as well;
    0 where nobody can say.
    """

    form: str
    request: ChatRequest
    stable: int = 0
    merges: bool = False

    @property
    def shape(self) -> tuple[object, ...]:
        """All of it that the choice of rules goes by."""
        fields = self.request.fields
        limits = (MAX_TOKENS in fields, MAX_COMPLETION_TOKENS in fields, self.request.output_tokens > 0)
        return (TEMPERATURE in fields, *limits, self.stable > 0, self.merges)


class Adaptation(msgspec.Struct, frozen=True):
    """What one model needs otherwise: fields that it is not sent, those that it is sent instead, and other messages.

    `names`: the rules that apply. `edits`: those of them that change the messages, which all targets of one dispatch share.
    """

    names: tuple[str, ...] = ()
    drops: frozenset[str] = frozenset()
    adds: Mapping[str, Any] = msgspec.field(default_factory=dict)
    edits: frozenset[str] = frozenset()


class Adaptations:
    """The rules with the models they are for."""

    def __init__(self, models: Mapping[str, Sequence[str]]) -> None:
        """`models`: for each rule the globs of `provider/model` that it is for; a rule without any is switched off."""
        self._models = {name: tuple(globs) for name, globs in models.items()}
        self._rules_of = lru_cache(REMEMBERED)(self._find_rules)

    def needed(self, model: str, asked: Asked, default_max_tokens: int | None) -> Adaptation:
        """What of the request a model needs otherwise; `default_max_tokens`: its provider's, None where it needs none."""
        fields = asked.request.fields
        names: list[str] = []
        drops: set[str] = set()
        adds: dict[str, Any] = {}
        if TEMPERATURE in fields and self._is_for(DROP_TEMPERATURE, model):
            names.append(DROP_TEMPERATURE)
            drops.add(TEMPERATURE)
        if asked.form == CHAT.name:
            self._limit(model, asked.request, default_max_tokens, names, drops, adds)
        edits = frozenset(self._edits(model, asked))
        return Adaptation((*names, *sorted(edits)), frozenset(drops), adds, edits)

    def _limit(
        self,
        model: str,
        request: ChatRequest,
        default: int | None,
        names: list[str],
        drops: set[str],
        adds: dict[str, Any],
    ) -> None:
        """The reply's length under the name that the model knows."""
        given = request.fields & {MAX_TOKENS, MAX_COMPLETION_TOKENS}
        if not given:
            if default and self._is_for(ADD_MAX_TOKENS, model):
                names.append(ADD_MAX_TOKENS)
                adds[MAX_TOKENS] = default
            return
        for rule, wrong, right in (
            (RENAME_TO_NEW, MAX_TOKENS, MAX_COMPLETION_TOKENS),
            (RENAME_TO_OLD, MAX_COMPLETION_TOKENS, MAX_TOKENS),
        ):
            if given == {wrong} and request.output_tokens and self._is_for(rule, model):
                names.append(rule)
                drops.add(wrong)
                adds[right] = request.output_tokens

    def _edits(self, model: str, asked: Asked) -> list[str]:
        if asked.form != CHAT.name:
            return []
        edits = []
        if asked.merges and self._is_for(MERGE_USER, model):
            edits.append(MERGE_USER)
        if asked.stable and self._is_for(ADD_MARKERS, model):
            edits.append(ADD_MARKERS)
        return edits

    def _is_for(self, rule: str, model: str) -> bool:
        return rule in self._rules_of(model)

    def _find_rules(self, model: str) -> frozenset[str]:
        return frozenset(
            rule for rule, globs in self._models.items() if any(fnmatchcase(model, glob) for glob in globs)
        )


class Changes(msgspec.Struct, frozen=True):
    """What of a body all targets of a dispatch get otherwise: fields `drops` that it does not hold, rules for its messages."""

    drops: frozenset[str] = frozenset()
    edits: frozenset[str] = frozenset()

    @classmethod
    def of(cls, adaptations: Sequence[Adaptation]) -> Changes:
        """Those for models that need these; what some of them are not sent is taken out, and given again to the others."""
        drops = frozenset[str]().union(*(one.drops for one in adaptations))
        return cls(drops, adaptations[0].edits)

    def members(self, raw: bytes) -> Mapping[str, msgspec.Raw]:
        """The body's members, as far as anything changes in it."""
        return prompt_messages.members(raw) if self.drops or self.edits else {}

    def taken(self, members: Mapping[str, msgspec.Raw]) -> tuple[bytes, ...]:
        """What the client wrote in the fields that are taken out."""
        return tuple(bytes(members.get(name, b"")) for name in sorted(self.drops))

    def given(self, members: Mapping[str, msgspec.Raw], adaptations: Sequence[Adaptation]) -> list[dict[str, Any]]:
        """What each of the models is sent beside the body or instead of it."""
        values = prompt_messages.values(members, {name for one in adaptations for name in self.drops - one.drops})
        return [{**{name: values[name] for name in sorted(self.drops - one.drops)}, **one.adds} for one in adaptations]

    def body(self, raw: bytes, members: Mapping[str, msgspec.Raw], stable: int) -> bytes:
        """The body that they share, which is the client's own where nothing changes; `stable`: as in Asked."""
        if not members:
            return raw
        kept = {name: value for name, value in members.items() if name not in self.drops}
        if self.edits:
            messages = prompt_messages.split(members["messages"])
            if ADD_MARKERS in self.edits:
                messages = prompt_messages.marked(messages, stable)
            if MERGE_USER in self.edits:
                messages = prompt_messages.merged(messages)
            kept["messages"] = prompt_messages.joined(messages)
        return prompt_messages.body(kept)
