"""Reads Aider's reports of commands: what was run, what it printed, and whether that plainly tells of a failure."""

from __future__ import annotations

import re

_LONGEST_COMMAND = 400
# Of a report: where its own words begin; of an output: what is read of its beginning and of its end.
_INSTRUCTIONS, _FIRST, _LAST = 2_000, 1_000, 2_000
_COMMAND, _OUTPUT = "I ran this command:\n", "\nAnd got this output:\n"

# Aider suggests it as the next turn, since 0.71 and only behind a command of the user's that failed.
_SUGGESTED = "What's wrong? Fix"

# They print what there is; an error among it, or that there is nothing, says nothing of a reply.
_SHOWS = re.compile(
    r"\s{0,9}(git( --?[\w-]{1,20}){0,3} (log|diff|show|status|blame|branch|grep|ls-files|reflog|remote|tag)"
    r"|ls|ll|dir|cd|cat|bat|type|head|tail|less|more|tree|find|fd|grep|egrep|rg|ag|sed|awk|cut|sort|uniq|jq|wc|stat"
    r"|file|diff|pwd|echo|printenv|date|ps|df|du|which|history|man)(\s|$)"
)
_BETWEEN_COMMANDS = re.compile(r"[|&;\n]{1,2}")

# Of each mark below there is one in it: most outputs hold none, and finding that out so is cheap.
_WORDS = (
    *("fail", "err", "not ok", "exit", "***", "traceback", "exception", "unhandled", "panic", "fatal", "not found"),
    *("no such", "denied", "not recognized", "fault", "dumped", "cannot find", "undefined", "assertion"),
)
# The last word of a test runner, a build or a shell.
_FAILED = re.compile(
    r"\b[1-9]\d{0,8} (tests? |specs? |suites? |examples? ){0,1}(failed|failures?|failing|errors?)\b"
    r"|\b([Ff]ailures|[Ff]ailed|[Ee]rrors)[=:] {0,3}[1-9]"
    r"|\bFAILED\b|^(--- )?FAIL\b|^not ok \d|\bBuild failed\b"
    r"|\b[Ee]xit(ed)?( with)?( non-zero)?( exit)?( status| code){0,1}[:= ]{1,3}[1-9]\d{0,4}\b"
    r"|^make(\[\d{1,4}\])?: \*\*\*|^npm (ERR!|error)|^error: could not compile",
    re.MULTILINE,
)
_ERRORS = re.compile(
    r"^Traceback \(most recent call last\)|^Exception in thread|^Unhandled |^thread '.{1,200}' panicked|^panic: "
    r"|^(E {1,8})?[\w.]{0,80}(Error|Exception)(:|$)"
    r"|^\s{0,8}\[?([Ff]atal |FATAL )?(error|Error|ERROR)( [A-Z]{1,6}\d{1,6}|\[\w{1,20}\])?[:\]!]|^(fatal|FATAL): "
    r"|[:)] ([Ff]atal )?[Ee]rror( [A-Z]{1,6}\d{1,6}|\[\w{1,20}\])?:"
    r"|\bcommand not found\b|^.{1,200}: not found$|\bNo such file or directory\b|\bPermission denied$"
    r"|\bis not recognized as an internal or external command\b|\b[Ss]egmentation fault\b|\bcore dumped\b"
    r"|\b[Cc]annot find (module|symbol|package)\b|\bundefined( reference| symbol|:)|\b[Aa]ssertion .{0,200}failed\b"
    r"|\b[Ff]atal error:|\b[Ss]yntax error\b|\(\w{1,80}Error\)",
    re.MULTILINE,
)
_PASSED = re.compile(
    r"\b[1-9]\d{0,8} (tests? )?(passed|passing)\b|^OK\b|^ok  ?\t?\S|\btest result: ok\b|\b0 (failures|failed|errors)\b"
    r"|\bBUILD SUCCESS|\ball tests passed\b|\bno issues found\b|\bexit(ed with)? (code|status):? 0\b",
    re.MULTILINE | re.IGNORECASE,
)


def is_report(text: str) -> bool:
    """Whether a message is Aider's report of a command; the user's instructions may stand before it."""
    return _parts(text) is not None


def tells_of_failure(report: str, answer: str = "") -> bool:
    """Whether a command plainly failed by what its report says, or by the turn with which the user answers it.

    Aider sends the output of whatever the user wants it to, in the same words, and no exit code.
    """
    parts = _parts(report)
    if parts is None or _only_shows(parts[0]):
        return False
    if answer.startswith(_SUGGESTED):
        return True
    output = parts[1]
    ends = output if len(output) <= _FIRST + _LAST else f"{output[:_FIRST]}\n{output[-_LAST:]}"
    said = ends.lower()
    if not any(word in said for word in _WORDS):
        return False
    # Tests that passed may have printed the errors they were to provoke.
    return bool(_FAILED.search(ends) or (_ERRORS.search(ends) and not _PASSED.search(output[-_LAST:])))


def _parts(text: str) -> tuple[str, str] | None:
    """The command and what it printed."""
    start = text.find(_COMMAND, 0, _INSTRUCTIONS)
    if start < 0 or (text[:start].strip() and text[start - 2 : start] != "\n\n"):
        return None
    end = text.find(_OUTPUT, start)
    if end < 0:
        return None
    begins = start + len(_COMMAND)
    return text[begins : min(end, begins + _LONGEST_COMMAND)].strip(), text[end + len(_OUTPUT) :]


def _only_shows(command: str) -> bool:
    parts = [part for part in _BETWEEN_COMMANDS.split(command) if part.strip()]
    return bool(parts) and all(_SHOWS.match(part) for part in parts)
