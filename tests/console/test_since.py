"""How far back to look, as people write it."""

from datetime import UTC, datetime

import pytest

from console.since import parse_since

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", datetime(2026, 11, 23, 11, 30, tzinfo=UTC)),
        ("12h", datetime(2026, 11, 23, 0, 0, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 16, 12, 0, tzinfo=UTC)),
        ("2w", datetime(2026, 11, 9, 12, 0, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T08:00+02:00", datetime(2026, 11, 1, 6, 0, tzinfo=UTC)),
    ],
)
def test_spans_count_back_from_now_and_dates_are_dates(text, moment):
    assert parse_since(text, NOW) == moment


def test_nothing_said_is_no_limit():
    assert parse_since("", NOW) is None


@pytest.mark.parametrize("text", ["7", "d", "7y", "-7d", "yesterday", "2026-13-01", "999999w", "7 d"])
def test_what_is_neither_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="7d"):
        parse_since(text, NOW)
