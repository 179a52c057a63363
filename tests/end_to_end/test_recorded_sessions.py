"""Every recorded Aider session, replayed in order through the running services: linked, and understood, as it was meant.

The truth is worked out here, from the names of the scenarios and the order of their records; nothing of the edge is asked
for it. WRITE_RESULTS=1 keeps the tables in bench/results/recorded_sessions.json.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import pytest

from tests.conftest import System
from tests.end_to_end.test_recorded_requests import CORPUS, SENT_HEADERS, records
from tests.fakes import provider as fake
from tests.processes import ROOT

RESULT = ROOT / "bench" / "results" / "recorded_sessions.json"
MODELS = {"auto", "auto-weak", "auto-editor"}
# A scenario is one Aider process; but in these each record is the first of another one: its history is empty, and its base
# URL or its model's name another than the one's before.
ONE_EACH = {"base_url_shapes", "plain_names"}
# How the provider of the record broke its answer off, the last one excepted.
BROKE_OFF = ("err_cut_rst", "err_sse_error")
# Aider stops on these, so it would not have sent again what it did where the records were made.
ENDS_IT = {400, 401, 404}
PURPOSES = {"architect": "architect", "editor": "editor", "commit": "commit", "summary": "summary"}
# What became of the reply before a record, by scenario and number; of the others nothing was said.
OUTCOMES = {
    "applied": {
        "architect_editor": (4,), "cache_prompts": (4,), "code_diff_fenced_stream": (3,), "code_diff_nostream": (3,),
        "code_diff_stream": (3,), "code_diff_sysexamples": (3,), "code_udiff_stream": (3,), "code_whole_stream": (3,),
        "extra_headers": (3,), "recommended_config": (3,), "length_prefill_stream": (5,), "no_git": (2,),
        "reflect_search_replace": (4,), "summarise_history": (6, 10), "summarise_weak_slow": (4, 7),
    },
    "edit_failed": {
        "architect_editor_reflection": (3,), "cut_clean_edit": (2,), "reflect_exhausted": (2, 3, 4),
        "reflect_malformed_block": (2,), "reflect_search_replace": (2,),
    },
    "no_edits": {"reflect_exhausted": (5,)},
    "lint_failed": {"reflect_lint": (3,)},
    "command_failed": {"reflect_test": (3,), "run_and_test_commands": (2,)},
    "undone": {"undo_with_reply": (3,)},
    "interrupted": {"ctrl_c_before_first_byte": (2,), "ctrl_c_nostream": (2,)},
}  # fmt: skip


@dataclass
class Tables:
    """What was found against what was meant."""

    purposes: Counter = field(default_factory=Counter)
    outcomes: Counter = field(default_factory=Counter)
    links: Counter = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)

    def lines(self, name: str) -> list[str]:
        told = [f"{name}: links {dict(self.links)}", f"  missed: {', '.join(self.missed)}"]
        told.append(f"  mixed: {', '.join(self.mixed)}")
        for title, table in (("purpose", self.purposes), ("previous outcome", self.outcomes)):
            told.append(f"  {title} (meant -> found)")
            told += [f"    {meant:>16} -> {found:<16} {count}" for (meant, found), count in sorted(table.items())]
        return told

    def document(self) -> dict:
        def rows(table: Counter) -> list[dict]:
            return [{"meant": m, "found": f, "count": count} for (m, f), count in sorted(table.items())]

        return {
            "links": dict(self.links),
            "missed": self.missed,
            "mixed": self.mixed,
            "purpose": rows(self.purposes),
            "previous_outcome": rows(self.outcomes),
        }


def meant_purpose(role: str, body: dict) -> str:
    return PURPOSES.get(role) or ("cache_ping" if body.get("max_tokens") == 1 else "code")


def meant_outcome(record: dict) -> str:
    for outcome, scenarios in OUTCOMES.items():
        if record["seq"] in scenarios.get(record["scenario"], ()):
            return outcome
    return "none"


def behaviour(record: dict, *, resent: bool) -> fake.Behaviour:
    """What the provider of the record did, as far as it is known."""
    reply = record["reply"]
    if isinstance(reply, dict) and "status" in reply:
        error = reply["error"]
        inner = error.get("error", error) if isinstance(error, dict) else error
        return fake.refuse(reply["status"], inner.get("message", "") if isinstance(inner, dict) else str(inner))
    if isinstance(reply, dict) and "text" in reply:
        broke = resent and record["scenario"].startswith(BROKE_OFF)
        return fake.saying(reply["text"], reply.get("finish_reason", "stop"), breaks=broke)
    # Nothing is recorded of the reply: where Aider sent the same again, there was none.
    return fake.refuse(500) if resent else fake.saying("fine")


async def replay(http: aiohttp.ClientSession, system: System, key_of: str) -> Tables:
    """Send all records in order, with a key for each process or the same for all."""
    tables = Tables()
    conversations: dict[str, set[str]] = {}
    owners: dict[str, str] = {}
    replayed = [(path, json.loads(path.read_text())) for path in records()]
    replayed = [(path, record) for path, record in replayed if not record["path"].endswith("/responses")]
    settled, before = False, None
    for number, (path, record) in enumerate(replayed):
        scenario, role = record["scenario"], path.stem.rsplit("-", 1)[1]
        process = path.stem if scenario in ONE_EACH else scenario
        settled = settled and (scenario, record["body"]) == before
        before = (scenario, record["body"])
        following = replayed[number + 1][1] if number + 1 < len(replayed) else {}
        resent = following.get("scenario") == scenario and following.get("body") == record["body"]
        body = {**record["body"], "model": record["body"]["model"] if record["body"]["model"] in MODELS else "auto"}
        names = {name: value for name, value in record["headers"].items() if name.lower().startswith(("x-", "openai-"))}
        names |= {name: value for name, value in record["headers"].items() if name.lower() in SENT_HEADERS}
        names["Authorization"] = f"Bearer {process if key_of == 'process' else 'one-for-all'}"
        system.provider.script = dict.fromkeys(("first", "second"), behaviour(record, resent=resent))
        async with http.post(system.url + record["path"], data=json.dumps(body), headers=names) as answer:
            await answer.read()
            found = {name.lower(): value for name, value in answer.headers.items()}
        tables.purposes[meant_purpose(role, body), found["x-router-purpose"]] += 1
        tables.outcomes[meant_outcome(record), found["x-router-previous-outcome"]] += 1
        conversation = found["x-router-conversation-id"]
        own = conversations.setdefault(process, set())
        if settled:
            tables.links["not sent"] += 1
            continue
        settled = resent and answer.status in ENDS_IT
        if owners.setdefault(conversation, process) != process:
            tables.links["mixed"] += 1
            tables.mixed.append(f"{path.stem} with {owners[conversation]}")
        elif own and conversation not in own:
            tables.links["missed"] += 1
            tables.missed.append(path.stem)
        else:
            tables.links["right" if own else "first"] += 1
        own.add(conversation)
    return tables


@pytest.mark.timeout(280)
async def test_every_recorded_session_is_linked_and_no_two_are_mixed(http, system, capsys):
    if not records():
        pytest.skip(f"no recorded requests at {CORPUS}; test_sessions.py runs Aider itself instead")
    apart = await replay(http, system, "process")
    shared = await replay(http, system, "all")
    with capsys.disabled():
        print("\n" + "\n".join([*apart.lines("a key for each process"), *shared.lines("one key for all")]))  # noqa: T201
    if os.environ.get("WRITE_RESULTS"):
        document = {"key_for_each_process": apart.document(), "one_key_for_all": shared.document()}
        RESULT.write_text(json.dumps(document, indent=1) + "\n")
    assert apart.links["mixed"] == 0
    # After /clear nothing is shown; and a whole reply that Aider itself did not like is asked for anew.
    assert {name.rsplit("-", 2)[0] for name in apart.missed} <= {"clear_and_reset", "err_repeat_ws_chunks"}
    for table in (apart.purposes, apart.outcomes, shared.purposes):
        assert [pair for pair in table if pair[0] != pair[1]] == []
