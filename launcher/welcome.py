"""Writes what a user needs once everything runs: the address, the Aider command, a curl, what is embedded."""

import shlex
from pathlib import Path

from launcher.processes import Machine, runs_demo
from launcher.settings import PROVIDER_KEYS, Settings

USUAL_ROUTER = "127.0.0.1:50051"
MAKE_KEYS = ("make keys ARGS=list", "ARGS='make NAME'")
# Aider's configuration lies beside this package, in a checkout and in a wheel.
AIDER = Path(__file__).absolute().parent.parent / "demo" / "aider"


def welcome(settings: Settings, machine: Machine) -> str:
    """The text, ready to be printed."""
    base = f"http://{settings.edge.target}/v1"
    parts = [f"Ready: {base} speaks the OpenAI API.", "", "Aider, in the folder of your project:"]
    key = "YOUR_KEY" if settings.asks_for_keys else "local"
    parts += [f"  {line}" for line in _aider(AIDER, base, key)]
    parts += ["", "One request; the headers say which model answered and why:"]
    parts += [f"  {line}" for line in _curl(base, key)]
    parts += ["", "How replies fared, and what routing saved, in this folder:", f"  {_savings(settings, machine)}"]
    if settings.page:
        password = " (any user name, a key as password)" if settings.asks_for_keys else ""
        parts += ["", "Decisions as they are made, and what came of them, in a browser:"]
        parts += [f"  http://{settings.page.target}/{password}"]
    parts += ["", *_embedded(settings, machine), "", "Ctrl-C stops everything."]
    return "\n" + "\n".join(parts) + "\n\n"


def _aider(folder: Path, base: str, key: str) -> list[str]:
    def file(name: str) -> str:
        return shlex.quote(str(folder / name))

    # The project id tells one Aider session from another. A model Aider has no facts on would make it fetch
    # a price list from the internet, hence LITELLM_LOCAL_MODEL_COST_MAP.
    return [
        "LITELLM_LOCAL_MODEL_COST_MAP=True aider \\",
        f"  --config {file('aider.conf.yml')} \\",
        f"  --model-settings-file {file('model-settings.yml')} \\",
        f"  --model-metadata-file {file('model-metadata.json')} \\",
        f"  --model openai/auto --openai-api-base {base} --openai-api-key {key} \\",
        "  --set-env OPENAI_PROJECT_ID=aider-$$-$(date +%s)",
    ]


def _savings(settings: Settings, machine: Machine) -> str:
    usual = settings.router.target == USUAL_ROUTER
    if machine.installed:
        return "amr savings" if usual else f"amr savings --router {settings.router.target}"
    return "make savings" if usual else f'make savings ARGS="--router {settings.router.target}"'


def _curl(base: str, key: str) -> list[str]:
    body = '{"model": "auto", "messages": [{"role": "user", "content": "Write a haiku on routing."}]}'
    return [
        f"curl -i {base}/chat/completions \\",
        f"  -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\",
        f"  -d '{body}'",
    ]


def _embedded(settings: Settings, machine: Machine) -> list[str]:
    if settings.not_diamond:
        routing = "Not Diamond, and the local policy when it is late or gone"
    else:
        routing = "the local policy (NOT_DIAMOND_API_KEY adds Not Diamond's recommendations)"
    if settings.hosted_portkey:
        gateway = "hosted Portkey"
    elif settings.own_gateway:
        gateway = f"the Portkey gateway at {settings.portkey_base_url}"
    else:
        gateway = "Portkey's open-source gateway, started here (PORTKEY_API_KEY uses hosted Portkey)"
    lines = [f"Routing: {routing}.", f"Gateway: {gateway}.", f"Models:  {_models(settings, machine)}."]
    if settings.page is None and settings.environment.get("EDGE_PAGE_LISTEN") not in ("", "off"):
        lines.append("Page:    none, for its port is in use (EDGE_PAGE_LISTEN=127.0.0.1:8082 moves it).")
    if settings.metrics:
        shown = " and ".join(f"http://{address.target}/metrics" for address in settings.metrics)
        lines.append(f"Metrics: {shown} (deploy/observability has dashboards and alert rules).")
    if settings.asks_for_keys:
        listed, made = ("amr keys list", "amr keys make NAME") if machine.installed else MAKE_KEYS
        lines.append(f"Keys:    asked for ({listed} shows whose there are, {made} makes one).")
    return lines


def _models(settings: Settings, machine: Machine) -> str:
    known = [f"the providers of {', '.join(settings.provider_keys)}"] if settings.provider_keys else []
    if machine.ollama_models:
        known.append(f"Ollama ({', '.join(machine.ollama_models)})")
    if known:
        return " and ".join(known)
    keys = f"{PROVIDER_KEYS[0]}, {PROVIDER_KEYS[1]}, {PROVIDER_KEYS[2]}, … or a running Ollama"
    if runs_demo(settings, machine):
        return f"scripted demo models, no AI ({keys} give real ones)"
    return f"those that your Portkey or EDGE_CONFIG names, for no key is set here ({keys} add some)"
