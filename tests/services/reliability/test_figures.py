"""The figures of random plants agree with a plain computation."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.models.machine import MachineUpdate
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.projections.reliability import groups, request
from services.reliability import plain_figures
from services.reliability.plain_figures import Log, Machine

FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
PARIS = ZoneInfo("Europe/Paris")
ZONES = (PARIS, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"))
# The clocks of Paris change in these nights, those of New York in two of them.
STARTS = [datetime(2025, 3, 28, tzinfo=UTC), datetime(2025, 10, 24, tzinfo=UTC), datetime(2025, 10, 31, tzinfo=UTC)]
GROUPINGS = (
    *((), ("machine",), ("machine.sector",), ("day",), ("week", "machine.sector")),
    *(("machine", "day"), ("machine.sector", "month", "machine"), ("year", "machine")),
)
SPAN = 5 * 24 * 60 * 60
# Many instants are equal, so that stops touch, and begin or end with a window.
OFFSETS = st.integers(0, SPAN // 10_800).map(lambda steps: steps * 10_800.0) | st.integers(0, SPAN * 8).map(
    lambda eighths: eighths / 8
)
numbers = count()
pytestmark = pytest.mark.asyncio(loop_scope="module")


@st.composite
def plain_logs(draw, base: datetime) -> Log:
    def instant() -> datetime:
        return base + timedelta(seconds=draw(OFFSETS))

    down_from, down_to = (instant() if draw(st.booleans()) else None for _ in range(2))
    has_end = down_from is not None and down_to is not None
    return Log(
        started_at=instant(),
        down_from=min(down_from, down_to) if has_end else down_from,
        down_to=max(down_from, down_to) if has_end else None,
        down_kind=draw(st.sampled_from((None, "failure", "planned", "external"))) if down_from else None,
        type=draw(st.sampled_from(("error", "info"))),
        status=draw(st.sampled_from(("open", "done", "done", "cancelled"))),
        is_deleted=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def plants(draw) -> tuple[list[Machine], datetime, datetime, datetime]:
    """Draw the machines, the window and the current time."""
    base = draw(st.sampled_from(STARTS))
    start, end, now = sorted(base + timedelta(seconds=draw(OFFSETS)) for _ in range(3))
    machines = []
    for _ in range(draw(st.integers(0, 3))):
        service = sorted(
            base + timedelta(seconds=seconds) for seconds in draw(st.lists(OFFSETS, min_size=1, max_size=4))
        )
        values = [draw(st.sampled_from((True, True, False, None))) for _ in service]
        machines.append(
            Machine(
                f"machine {next(numbers)}",
                draw(st.sampled_from(("A", "B", None))),
                tuple(zip(service, values, strict=True)),
                tuple(draw(st.lists(plain_logs(base), max_size=6))),
            )
        )
    return machines, start, max(end, start + timedelta(microseconds=125_000)), max(now, end + timedelta(seconds=1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(seeded_url):
    database = Database(seeded_url)
    await database.open()
    yield database
    await database.close()


@pytest.mark.untraced
@given(plants(), st.sampled_from(ZONES), st.sampled_from(GROUPINGS))
async def test_figures_agree_with_a_plain_computation(database, plant, zone, group_by):
    machines, start, end, now = plant
    usage = f"plant {next(numbers)}"
    write(database, usage, machines)
    bounds = {name: instants.format_instant(moment) for name, moment in (("from", start), ("to", end))}
    found = await measure(database, TimeContext(zone, now), group_by, **bounds, **{"machine.usage": usage})
    assert found["window"] == bounds
    assert found["groups"] == expected_groups(machines, start, end, zone, group_by)
    assert not found["truncated"]


async def measure(database: Database, time_context: TimeContext, group_by: tuple, **parameters: str) -> dict:
    pairs = [*parameters.items(), *([("group_by", ",".join(group_by))] if group_by else [])]
    query = request.parse_reliability_query(pairs, time_context)
    return json.loads(await groups.fetch(database, query))


def expected_groups(
    machines: list[Machine], start: datetime, end: datetime, zone: ZoneInfo, group_by: tuple[str, ...]
) -> list[dict]:
    unit = next((name for name in group_by if name in FORMATS), None)
    windows = [("", start, end)]
    if unit is not None:
        windows = plain_figures.calendar_windows(start, end, FORMATS[unit], zone)
    fields = [name for name in group_by if name != unit]
    members: dict[tuple, list[Machine]] = {} if fields else {(): []}
    for machine in machines:
        values = {"machine": machine.name, "machine.sector": machine.sector}
        members.setdefault(tuple(values[name] for name in fields), []).append(machine)
    found = [
        {**dict(zip(fields, values, strict=True)), **({unit: name} if unit else {})}
        | plain_figures.measure(grouped, first, last)
        for values, grouped in members.items()
        for name, first, last in windows
    ]
    return sorted(found, key=lambda group: [(group[name] is None, group[name]) for name in group_by])


def write(database: Database, usage: str, machines: list[Machine]) -> None:
    """Write the machines, each change at its own time, and their logs."""

    def unit(tx) -> None:
        for machine in machines:
            (created_at, in_service), *changes = machine.service
            fields = {"name": machine.name, "sector": machine.sector, "usage": usage, "in_service": in_service}
            records.insert(tx, MACHINES, validated(MACHINES, fields), at(created_at))
            for changed_at, in_service in changes:
                body = MachineUpdate.model_validate({"in_service": in_service})
                records.update(tx, records.Target(MACHINES, machine.name), body, at(changed_at))
            for log in machine.logs:
                write_log(tx, machine, log)

    database.transact(unit)


def write_log(tx, machine: Machine, log: Log) -> None:
    moments = {name: getattr(log, name) for name in ("started_at", "down_from", "down_to")}
    fields = {name: moment and instants.format_instant(moment) for name, moment in moments.items()}
    fields |= {name: getattr(log, name) for name in ("down_kind", "type", "status")}
    written = records.insert(tx, LOGS, validated(LOGS, {"machine": machine.name, **fields}), at(log.started_at))
    if log.is_deleted:
        records.delete(tx, records.Target(LOGS, written.key), at(log.started_at))


def validated(resource, fields: dict) -> dict:
    return resource.create.model_validate(fields).model_dump(mode="json")


def at(moment: datetime) -> ChangeContext:
    return ChangeContext(via="test", at=instants.format_instant(moment))
