"""`explain`: a decision as a readable story, a dry one for a prompt or a past one by its id."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from console.options import USUAL_ROUTER, AsJson, Edge, Router, edge_address, setup_of
from console.terminal import console, fail, print_json, tell

# Characters a token, where nothing better is known.
PER_TOKEN = 4


def explain(  # noqa: PLR0913, PLR0917  each is an option
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="What would be asked; - reads it from the input.")] = "",
    decision: Annotated[
        str, typer.Option(help="A past decision's id, as x-router-decision-id or `decisions` has it.")
    ] = "",
    purpose: Annotated[
        str, typer.Option(help="What it would be for: code, ask, architect, editor, commit, ….")
    ] = "code",
    profile: Annotated[str, typer.Option(help="The profile that would be asked for.")] = "auto",
    candidate: Annotated[
        list[str] | None, typer.Option(help="Choose among these models, in place of a profile's; may be given again.")
    ] = None,
    tradeoff: Annotated[
        int | None, typer.Option(min=0, max=10, help="0 = quality alone, 10 = cost alone; else the profile's.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose request it would be.")] = "",
    provider: Annotated[
        list[str] | None, typer.Option(help="A provider that can be reached; else those of the running edge.")
    ] = None,
    input_tokens: Annotated[int, typer.Option(min=0, help="Tokens with all files; else from the prompt's length.")] = 0,
    output_tokens: Annotated[int, typer.Option(min=0, help="Room that the reply must have.")] = 0,
    vision: Annotated[bool, typer.Option("--vision", help="The request would hold images.")] = False,
    tools: Annotated[bool, typer.Option("--tools", help="The request would offer tools.")] = False,
    json_reply: Annotated[bool, typer.Option("--json-reply", help="The reply would have to be JSON.")] = False,
    without_text: Annotated[
        bool, typer.Option("--without-text", help="Show the router the prompt's length alone.")
    ] = False,
    router: Router = USUAL_ROUTER,
    edge: Edge = "",
    as_json: AsJson = False,
) -> None:
    """Say which model would answer a prompt, or answered one, and why.

    No model is asked. The router sees the prompt, and asks Not Diamond where the profile says so; the dry decision is kept in
    the ledger like any other, without a reply.

    \b
    amr explain "rename greet to welcome" --purpose code
    amr explain "plan the migration" --profile auto-architect --input-tokens 60000
    amr explain --decision dec_0123456789abcdef
    """
    if bool(prompt) == bool(decision):
        raise typer.BadParameter("give either a prompt or --decision ID", param_hint="PROMPT")
    from console.router import RouterProblem, connected  # noqa: PLC0415
    from console.router.decisions import PURPOSES  # noqa: PLC0415
    from console.router.decisions import decide as ask  # noqa: PLC0415
    from console.router.decisions import explain as look_up  # noqa: PLC0415
    from router_client import Purpose, Question, Requirements  # noqa: PLC0415

    if purpose not in PURPOSES:
        raise typer.BadParameter(f"{purpose!r} is none of {', '.join(PURPOSES)}", param_hint="--purpose")
    text = sys.stdin.read() if prompt == "-" else prompt
    setup = setup_of(context)
    try:
        with connected(router, setup.environment) as asked:
            if decision:
                found = look_up(asked, decision)
            else:
                providers = tuple(provider or _reachable(edge_address(edge, setup.environment)))
                tokens = input_tokens or max(1, len(text) // PER_TOKEN)
                question = Question(
                    profile="" if candidate else profile,
                    candidates=tuple(candidate or ()),
                    purpose=Purpose(purpose),
                    requirements=Requirements(
                        input_tokens=tokens, output_tokens=output_tokens, vision=vision, tools=tools, json=json_reply
                    ),
                    available_providers=providers,
                    cost_quality_tradeoff=tradeoff,
                    tenant=tenant,
                )
                found = ask(asked, question, "" if without_text else text)
    except RouterProblem as problem:
        fail(str(problem))
    _show(found, as_json=as_json)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    from console.story import ranking, story  # noqa: PLC0415

    out = console()
    before, after = story(found)
    out.print(before, markup=False)
    out.print(ranking(found))
    out.print(after, markup=False)


def _reachable(edge: str) -> list[str]:
    from console.edge import ready  # noqa: PLC0415

    state = ready(edge)
    if state is None:
        tell(f"No edge answers at {edge}, so all providers count as reachable; --provider names those that are.")
        return []
    return [str(name) for name in state.get("providers", [])]
