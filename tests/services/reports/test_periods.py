"""Which time a period is, and the period before it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.query.language.times import TimeContext
from machine_monitor.services.projections.reports.periods import BadPeriod, parse_period, period_before

PARIS = TimeContext(ZoneInfo("Europe/Paris"), datetime(2026, 4, 1, 10, tzinfo=UTC))


def local(moment: datetime) -> str:
    return f"{moment.astimezone(PARIS.zone):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "name", "span", "before", "span_before"),
    [
        # The clock is set forward on 29 March 2026.
        (
            "week",
            "2026-W13",
            ("2026-03-23 00:00", "2026-03-30 00:00"),
            "2026-W12",
            ("2026-03-16 00:00", "2026-03-23 00:00"),
        ),
        (
            "month",
            "2026-03",
            ("2026-03-01 00:00", "2026-04-01 00:00"),
            "2026-02",
            ("2026-02-01 00:00", "2026-03-01 00:00"),
        ),
        ("year", "2025", ("2025-01-01 00:00", "2026-01-01 00:00"), "2024", ("2024-01-01 00:00", "2025-01-01 00:00")),
        (
            "this-week",
            "2026-W14",
            ("2026-03-30 00:00", "2026-04-01 12:00"),
            "2026-W13",
            ("2026-03-23 00:00", "2026-03-25 12:00"),
        ),
        (
            "2026-W01",
            "2026-W01",
            ("2025-12-29 00:00", "2026-01-05 00:00"),
            "2025-W52",
            ("2025-12-22 00:00", "2025-12-29 00:00"),
        ),
        (
            "2026-03-31",
            "2026-03-31",
            ("2026-03-31 00:00", "2026-04-01 00:00"),
            "2026-03-30",
            ("2026-03-30 00:00", "2026-03-31 00:00"),
        ),
        (
            "2026-03-27..2026-03-30",
            "2026-03-27--2026-03-30",
            ("2026-03-27 00:00", "2026-03-31 00:00"),
            "2026-03-23--2026-03-26",
            ("2026-03-23 00:00", "2026-03-27 00:00"),
        ),
        (
            "2026-03-23..2026-03-29",
            "2026-W13",
            ("2026-03-23 00:00", "2026-03-30 00:00"),
            "2026-W12",
            ("2026-03-16 00:00", "2026-03-23 00:00"),
        ),
    ],
)
def test_a_period_and_the_one_before(text, name, span, before, span_before):
    found = parse_period(text, PARIS)
    earlier = period_before(found, PARIS)
    assert (found.name, (local(found.start), local(found.end))) == (name, span)
    assert (earlier.name, (local(earlier.start), local(earlier.end))) == (before, span_before)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weak",
        "2026-W54",
        "2026-13",
        "2026-02-30",
        "2026-03-02..2026-03-01",
        "2026-W15",
        "9999",
        "0001-W01",
        "1970",
        "1970-01",
    ],
)
def test_what_is_no_period(text):
    with pytest.raises(BadPeriod):
        parse_period(text, PARIS)
