"""Writes what a user needs once everything runs: the address, the Aider command, a curl, what is embedded."""

import shlex
from pathlib import Path

from launcher.processes import Machine, runs_demo
from launcher.settings import PROVIDER_KEYS, Settings

USUAL_ROUTER = "127.0.0.1:50051"


def welcome(settings: Settings, machine: Machine) -> str:
    """The text, ready to be printed."""
    base = f"http://{settings.edge.target}/v1"
    parts = [f"Ready: {base} speaks the OpenAI API.", "", "Aider, in the folder of your project:"]
    key = "YOUR_KEY" if settings.asks_for_keys else "local"
    parts += [f"  {line}" for line in _aider(machine.root / "demo" / "aider", base, key)]
    parts += ["", "One request; the headers say which model answered and why:"]
    parts += [f"  {line}" for line in _curl(base, key)]
    parts += ["", "How replies fared, and what routing saved, in this folder:", f"  {_savings(settings)}"]
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


def _savings(settings: Settings) -> str:
    usual = settings.router.target == USUAL_ROUTER
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
    if settings.asks_for_keys:
        lines.append("Keys:    asked for (make keys ARGS=list shows whose there are, ARGS='make NAME' makes one).")
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
