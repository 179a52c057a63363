"""Scripted demo models behind an OpenAI-compatible server, so that everything here works without a key.

They are scripts, not AI, and say so. Start them with `python -m demo`; `DEMO_LISTEN` (127.0.0.1:8090)
is where they listen and `DEMO_PACE` (1) scales how slowly they speak, 0 being at once.

What they follow in an edit request, in Aider's formats diff, diff-fenced, udiff and whole:
`rename X to Y` · `replace "A" with "B"` · `create FILE saying "TEXT"` · `add a docstring to F`.
Anything else leaves one comment at the top of a chat file that quotes the request, so that the first edit
of a newcomer always lands as a commit. After failing tests or lint they look for one of these instructions
in the output, and otherwise follow the original one again.

Their strengths differ, so that routing and escalation have something to show:

- `small` changes only the first place in each file, chats tersely and speaks fastest;
- `medium` does all of it;
- `large` does all of it and speaks slowest.

The way through: `app` (HTTP) → `conversation` (the request, read) → `reply` → `instructions`, `edits`,
`edit_formats` or `prose` → text.
"""
