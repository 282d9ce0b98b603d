"""Days, weeks and months in a time zone, computed alike by both engines and by Python."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import bindparam, select

from machine_monitor.database import instants
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import compile_statement
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.language.times import EARLIEST, LATEST

SECOND = timedelta(seconds=1)
# Special cases: a DST change at midnight, a skipped day, interrupted summer time, offsets with seconds.
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia")
ZONES += ("Africa/Casablanca", "Africa/Monrovia", "America/Havana", "America/Sao_Paulo", "Australia/Lord_Howe")


def changes(zone: ZoneInfo) -> list[datetime]:
    """Return instants around each change of the UTC offset, and the limits of the time range."""
    around = [start + step for start, _ in calendar._transitions(zone)[1:] for step in (-SECOND, timedelta(), SECOND)]
    around += [
        start + timedelta(hours=hours) for start, _ in calendar._transitions(zone)[1:] for hours in (-3, -1, 1, 3)
    ]
    return sorted({EARLIEST, *around, LATEST - SECOND})


@pytest.mark.parametrize("name", ZONES)
def test_a_day_ends_where_the_next_one_begins(name):
    zone = ZoneInfo(name)
    days = [calendar.local_date(instant, zone) for instant in changes(zone)]
    assert days == sorted(days)
    for instant, day in zip(changes(zone), days, strict=True):
        begin, end = calendar.start_of_day(day, zone), calendar.start_of_day(day + timedelta(days=1), zone)
        assert begin <= calendar.epoch_microseconds(instant) < end


@pytest.mark.parametrize("name", [name for name in ZONES if name != "America/St_Johns"])
def test_a_day_matches_the_local_clock(name):
    zone = ZoneInfo(name)
    for instant in changes(zone):
        assert calendar.local_date(instant, zone) == instant.astimezone(zone).date()


@pytest.mark.untraced
@pytest.mark.parametrize("name", ZONES)
async def test_both_engines_compute_the_same_days_and_weeks(database, name):
    zone, engine = ZoneInfo(name), database.engine
    day = calendar.local_date_column(engine, bindparam("at", type_=TIME.column_type), zone)
    statement = compile_statement(engine, select(*[unit.name_column(engine, day) for unit in UNITS.values()]))
    moments = [*changes(zone)[::7], *[datetime(year, 12, 26, tzinfo=UTC) for year in range(1970, 2101)]]
    moments += [moment + timedelta(days=7, microseconds=999_999) for moment in moments[-131:]]

    def compare(tx):
        for instant in moments:
            at = engine.to_db(instants.format_instant(instant), TIME)
            local_date = calendar.local_date(instant, zone)
            assert tuple(tx.execute(statement, {"at": at})[0]) == tuple(
                unit.name(local_date) for unit in UNITS.values()
            )

    database.snapshot(compare)


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_buckets_cover_the_days_without_gaps_or_overlaps(unit):
    first = unit.first_day(unit.name(date(1969, 12, 31)))
    while first.year < 2102:
        following = unit.next_start(first)
        names = {unit.name(first + timedelta(days=day)) for day in range((following - first).days)}
        assert names == {unit.name(first)}
        assert unit.first_day(unit.name(first)) == first
        first = following
