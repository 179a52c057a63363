"""What is understood of the recorded requests of Aider 0.86, each against what its name says happened there."""

import json

import pytest

from edge_gateway import aider, chat_request
from tests.processes import SHARED

CORPUS = SHARED / "aider_corpus"
# Record, previous outcome, failures in a row, files, the beginning of the user's text.
EXPECTED = [
    ("architect_editor-02-editor", "none", 0, ["calc.py"], "In calc.py change `add`"),
    ("architect_editor-04-architect", "applied", 0, ["calc.py"], "Now do sub"),
    ("architect_editor_reflection-03-editor", "edit_failed", 1, ["calc.py"], "# 1 SEARCH/REPLACE block"),
    ("clear_and_reset-03-main", "none", 0, ["calc.py"], "what now?"),
    ("clear_and_reset-04-main", "none", 0, [], "and now?"),
    ("code_udiff_stream-03-main", "applied", 0, ["calc.py"], "Is there anything else"),
    ("code_whole_stream-03-main", "applied", 0, ["calc.py"], "Is there anything else"),
    ("ctrl_c_before_first_byte-02-main", "interrupted", 0, ["calc.py"], "continue please"),
    ("ctrl_c_nostream-02-main", "interrupted", 0, ["calc.py"], "continue please"),
    ("no_git-02-main", "applied", 0, ["calc.py"], "ok?"),
    ("reflect_exhausted-04-main", "edit_failed", 3, ["calc.py"], "# 1 SEARCH/REPLACE block"),
    ("reflect_exhausted-05-main", "no_edits", 3, ["calc.py"], "why did it fail?"),
    ("reflect_file_mention-02-main", "none", 0, ["shop/pricing.py"], "I added these files to the chat"),
    ("reflect_lint-03-main", "lint_failed", 1, ["calc.py"], "# Fix any errors below"),
    ("reflect_malformed_block-02-main", "edit_failed", 1, ["calc.py"], "calc.py\n```python"),
    ("reflect_search_replace-04-main", "applied", 0, ["calc.py"], "thanks, anything else?"),
    ("reflect_test-03-main", "command_failed", 1, ["calc.py"], "I ran this command:"),
    ("repomap_nofiles-02-main", "none", 0, [], "and the checkout function?"),
    ("run_and_test_commands-01-main", "none", 0, ["calc.py"], "what is wrong?"),
    ("run_and_test_commands-02-main", "command_failed", 1, ["calc.py"], "I ran this command:"),
    ("summarise_history-10-main", "applied", 0, ["calc.py"], "sixth question"),
]


def understood(name: str) -> tuple[chat_request.ChatRequest, aider.Understanding]:
    record = json.loads((CORPUS / f"{name}.json").read_text())
    request = chat_request.parse(json.dumps(record["body"]).encode())
    return request, aider.understand(request)


@pytest.fixture(autouse=True)
def _records():
    if not CORPUS.is_dir():
        pytest.skip(f"no recorded requests at {CORPUS}; the other tests of aider hold shortened ones")


@pytest.mark.parametrize(("name", "outcome", "failures", "files", "text"), EXPECTED)
def test_a_recorded_request_is_understood(name, outcome, failures, files, text):
    _, found = understood(name)
    assert (found.previous_outcome, found.failures, [file.name for file in found.files]) == (outcome, failures, files)
    assert found.user_text.startswith(text)


def test_no_recorded_user_text_holds_the_reminder():
    for path in CORPUS.glob("*.json"):
        if "messages" not in json.loads(path.read_text())["body"]:
            continue
        request, found = understood(path.stem)
        assert "Rules:" not in found.user_text, path.name
        assert found.user_text or found.purpose == "cache_ping", path.name
        assert found.continuation == ("length_prefill" in path.name and request.turns[-1].role == "assistant"), (
            path.name
        )


def test_an_undone_commit_shows_in_the_files_digests():
    before, after, undone = (understood(f"undo_with_reply-{at}") for at in ("01-main", "02-commit", "03-main"))
    assert after[1].files == ()
    assert undone[1].files == before[1].files
    assert understood("cache_prompts-04-main")[1].files != understood("cache_prompts-01-main")[1].files


def test_where_a_prompt_is_said_to_be_stable_the_next_one_begins_alike():
    """All but where the chat was cleared, its files were changed, or another process began."""
    before: dict[tuple[str, str], tuple[list, int]] = {}
    alike, other = 0, []
    for path in sorted(CORPUS.glob("*.json")):
        record = json.loads(path.read_text())
        if "messages" not in record["body"]:
            continue
        _, found = understood(path.stem)
        if found.purpose in ("commit", "summary"):
            assert found.stable_turns == 0
            continue
        messages, place = record["body"]["messages"], (record["scenario"], found.purpose)
        earlier, stable = before.get(place, ([], 0))
        if stable and messages[:stable] == earlier[:stable]:
            alike += 1
        elif stable:
            other.append(path.stem.rsplit("-", 2)[0])
        before[place] = (messages, found.stable_turns)
    assert set(other) <= {"clear_and_reset", "model_switch", "plain_names", "reflect_file_mention"}
    assert alike > 100
