"""Judges the settings: the file, the variables' names, what the services' loaders said, the keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from console.doctor.facts import Keys
from console.doctor.findings import Finding, ok, problem, warning
from console.doctor.names import Stray, strays
from console.settings_check import EnvFile, Loaded

READS = {
    "launcher": "`make run`",
    "router": "the router",
    "edge": "the edge",
    "demo": "the demo models",
    "all": "everything",
}


def judge_settings(file: EnvFile, loaded: Loaded, shell: Collection[str], is_set: Collection[str]) -> Iterator[Finding]:
    """`shell`: the names that the shell has set; `is_set`: all that are set."""
    yield from _file(file)
    yield from _names(file, loaded, shell, is_set)
    yield from _loaders(loaded)
    yield from _clients(loaded)


def judge_keys(keys: Keys, loaded: Loaded) -> Iterator[Finding]:
    """Providers' keys and Not Diamond's, by their form."""
    for variable, wrong in keys.forms.items():
        if wrong:
            yield warning(
                "provider keys", f"{variable} {wrong}.", f"Copy the key from its provider again, into {variable}."
            )
    good = [variable for variable, wrong in keys.forms.items() if not wrong]
    if good:
        yield ok("provider keys", f"{', '.join(good)}: set, and of a key's form.")
    elif not keys.forms:
        served = loaded.values.get("providers")
        told = f"; served are {', '.join(served)}" if served else ""
        yield ok("provider keys", f"None is set{told}.")
    yield from _not_diamond(keys)


def _file(file: EnvFile) -> Iterator[Finding]:
    if file.problem:
        yield problem("settings file", f"{file.path}: {file.problem}.", "Make it a text file that you may read.")
        return
    if not file.exists:
        yield ok("settings file", f"There is no {file.path}; the environment and the defaults count.")
        return
    if file.bad_lines:
        lines = ", ".join(map(str, file.bad_lines))
        yield problem(
            "settings file", f"{file.path}, line {lines}: this is no NAME=VALUE.", "Write NAME=VALUE, or # before it."
        )
    if file.twice:
        yield warning(
            "settings file", f"{file.path} sets {', '.join(file.twice)} twice; the last one counts.", "Leave one."
        )
    if file.read_by_others:
        yield warning("settings file", f"Others may read {file.path}, and the keys in it.", f"chmod 600 {file.path}")
    if not (file.bad_lines or file.twice or file.read_by_others):
        yield ok("settings file", f"{file.path}: {len(file.set_names)} variables are set.")


def _names(file: EnvFile, loaded: Loaded, shell: Collection[str], is_set: Collection[str]) -> Iterator[Finding]:
    if not loaded.known:
        return
    of_file = strays(file.names, loaded.known, of_file=True)
    seen = {one.name for one in of_file}
    of_shell = [one for one in strays(shell, loaded.known, of_file=False) if one.name not in seen]
    for where, found in ((str(file.path), of_file), ("the environment", of_shell)):
        for stray in found:
            yield _stray(stray, where, is_set)
    if not (of_file or of_shell):
        yield ok("variables", "Every variable that is set here is known.")


def _stray(stray: Stray, where: str, is_set: Collection[str]) -> Finding:
    if not stray.meant:
        return warning("variables", f"Nobody reads {stray.name} ({where}).", ".env.example lists what is read.")
    if stray.meant in is_set:
        text = f"Nobody reads {stray.name} ({where}); {stray.meant} is set as well."
        return warning("variables", text, f"Remove {stray.name}, or name it in EDGE_CONFIG if it is a key.")
    return problem("variables", f"Nobody reads {stray.name} ({where}).", f"Did you mean {stray.meant}?")


def _loaders(loaded: Loaded) -> Iterator[Finding]:
    for service, text in loaded.problems:
        yield problem("settings", f"{text.rstrip('.')}.", f"Correct it: {READS.get(service, service)} would not start.")
    if not loaded.problems:
        profiles = loaded.values.get("profiles") or []
        yield ok("settings", f"Both services take them; the profiles are {', '.join(profiles)}.")


def _clients(loaded: Loaded) -> Iterator[Finding]:
    keys = loaded.values.get("keys")
    if keys is None:
        return
    if not keys["valid"]:
        yield warning("client keys", "The keys file holds no valid key, so nobody is let in.", "amr keys make NAME")
    else:
        revoked = f", {keys['revoked']} revoked" if keys["revoked"] else ""
        yield ok("client keys", f"The keys file holds {keys['valid']} valid{revoked}.")


def _not_diamond(keys: Keys) -> Iterator[Finding]:
    if keys.not_diamond_form is None:
        return
    if keys.not_diamond_form:
        text = f"NOT_DIAMOND_API_KEY {keys.not_diamond_form}."
        yield warning("not diamond", text, "Copy the key from Not Diamond again.")
    if keys.not_diamond_online:
        yield problem(
            "not diamond", f"Not Diamond {keys.not_diamond_online}.", "Until then the local policy decides alone."
        )
    elif keys.not_diamond_online is not None:
        yield ok("not diamond", "Not Diamond takes the key.")
    elif not keys.not_diamond_form:
        yield ok("not diamond", "The key is set, and of a key's form; --online asks Not Diamond.")
