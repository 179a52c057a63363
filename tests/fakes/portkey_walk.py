"""How a Portkey config is gone through: which target is asked when, with which body, and when the next one is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tests.fakes.portkey_config import Config, Retry

RETRIED = (429, 500, 502, 503, 504)
# What a target has from the config around it unless it says otherwise.
INHERITED = ("retry", "request_timeout", "forward_headers", "default_params", "drop_params")


class Answer(Protocol):
    """What a target said; `stops` is set on an error of Portkey's own, which no other target may mend."""

    status: int
    stops: bool

    def close(self) -> None:
        """Drops it unread, for another one takes its place."""


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True)
class Target:
    """A leaf of a config together with what it inherits, and its place as Portkey writes it."""

    place: str
    config: Config

    def body(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The request as this target gets it: over defaults, under overrides, without what is dropped."""
        merged = {**(self.config.default_params or {}), **asked, **(self.config.override_params or {})}
        return {name: value for name, value in merged.items() if name not in (self.config.drop_params or ())}


@dataclass(frozen=True)
class Walked(Generic[A]):
    """The answer in the end, whose it is, and how often its target was asked again: -1 when all of it was in vain."""

    answer: A
    place: str
    retries: int


async def walk(
    config: Config,
    ask: Callable[[Target], Awaitable[A]],
    draw: Callable[[], float],
    place: str = "config",
) -> Walked[A]:
    """Goes through the config; `draw` gives numbers from 0 up to 1 for the weights."""
    if config.strategy is None or config.targets is None:
        return await _ask_with_retries(Target(place, config), ask)
    targets = [_inheriting(config, target) for target in config.targets]
    if config.strategy.mode == "loadbalance":
        index = _drawn([1.0 if target.weight is None else target.weight for target in targets], draw())
        return await walk(targets[index], ask, draw, f"{place}.targets[{index}]")
    if config.strategy.mode == "single":
        return await walk(targets[0], ask, draw, f"{place}.targets[0]")
    codes = config.strategy.on_status_codes
    for index, target in enumerate(targets):
        walked = await walk(target, ask, draw, f"{place}.targets[{index}]")
        status = walked.answer.status
        next_one = status in codes if codes is not None else not 200 <= status <= 299
        if walked.answer.stops or not next_one or index == len(targets) - 1:
            return walked
        walked.answer.close()
    raise AssertionError("a config has at least one target")


def _inheriting(config: Config, target: Config) -> Config:
    update = {name: getattr(config, name) for name in INHERITED if getattr(target, name) is None}
    update["override_params"] = {**(config.override_params or {}), **(target.override_params or {})}
    return target.model_copy(update=update)


def _drawn(weights: Sequence[float], number: float) -> int:
    point = number * sum(weights)
    for index, weight in enumerate(weights):
        if point < weight:
            return index
        point -= weight
    return len(weights) - 1


async def _ask_with_retries(target: Target, ask: Callable[[Target], Awaitable[A]]) -> Walked[A]:
    """Asks again at once: the real one waits a second before, then two, four, …"""
    retry = target.config.retry or Retry(attempts=0)
    codes = RETRIED if retry.on_status_codes is None else retry.on_status_codes
    for attempt in range(retry.attempts + 1):
        answer = await ask(target)
        if answer.stops or answer.status not in codes:
            return Walked(answer, target.place, attempt)
        if attempt < retry.attempts:
            answer.close()
    return Walked(answer, target.place, -1 if retry.attempts else 0)
