"""The three ways a chat completion goes to a model: as it came, or made by Portkey into Anthropic's form or Google's."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.clients.conftest import CLAUDE, GEMINI
from tests.fakes import anthropic, gemini, openai_chat, provider
from tests.fakes.behaviours import JSON, Behaviour

Called = tuple[str, JSON]


@dataclass(frozen=True)
class Way:
    """A profile, the provider's name of the model behind it, and how that model is made to answer.

    `begun`: the events of a stream up to its first word. `usage`: its input and output tokens. `after_tools`: the finish
    reason that goes with the call of a tool.
    """

    profile: str
    served: str
    name: str
    saying: Callable[[str], Behaviour]
    calling: Callable[..., Behaviour]
    begun: tuple[bytes, ...]
    usage: tuple[int, int]
    after_tools: str = "tool_calls"

    def __str__(self) -> str:
        return self.profile


def _openai_calling(*calls: Called) -> Behaviour:
    made = [openai_chat.tool_call(name, arguments, f"call_{at}") for at, (name, arguments) in enumerate(calls)]
    return openai_chat.replying(None, *made)


def _anthropic_calling(*calls: Called) -> Behaviour:
    blocks = [anthropic.tool_use(name, arguments, f"toolu_{at}") for at, (name, arguments) in enumerate(calls)]
    return anthropic.replying(*blocks, stop_reason="tool_use")


VERBATIM = Way("auto", "fake/first", "first", openai_chat.replying, _openai_calling, provider.EVENTS[:1], (11, 7))
TO_ANTHROPIC = Way(
    "claude",
    f"anthropic/{CLAUDE}",
    CLAUDE,
    lambda words: anthropic.replying(anthropic.text(words)),
    _anthropic_calling,
    anthropic.EVENTS[:4],
    (9, 3),
)
TO_GOOGLE = Way(
    "gemini",
    f"google/{GEMINI}",
    GEMINI,
    lambda words: gemini.replying(gemini.text(words)),
    lambda *calls: gemini.replying(*(gemini.function_call(name, arguments) for name, arguments in calls)),
    gemini.framed(gemini.contents(gemini.text("hello there")), sse=False)[:1],
    (9, 3),
    # As Google ends every answer, and Portkey leaves it.
    after_tools="stop",
)
WAYS = (VERBATIM, TO_ANTHROPIC, TO_GOOGLE)
