"""The figures of random plants agree with a plain computation."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from hypothesis import given, settings
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
DAYS = 5
numbers = count()
pytestmark = pytest.mark.asyncio(loop_scope="module")


class PlantGenerator:
    """Draws machines, windows and times uniformly; Hypothesis itself prefers plants that are nearly empty."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._base = self._rng.choice(STARTS)

    def instant(self) -> datetime:
        """Draw an instant: most are one of few, so that stops touch, and begin or end with a window."""
        steps = self._rng.randint(0, 2 * DAYS) * 12 * 60 * 60
        offset = steps if self._rng.random() < 0.8 else self._rng.randrange(DAYS * 24 * 60 * 60 * 8) / 8
        return self._base + timedelta(seconds=offset)

    def window(self) -> tuple[datetime, datetime, datetime]:
        """Draw the start and the end of the window, and the current time, which is later."""
        start, end, now = sorted(self.instant() for _ in range(3))
        if self._rng.random() < 0.5:
            start, end = self._base, max(end, self._base + timedelta(days=DAYS - 1))
        return start, max(end, start + timedelta(microseconds=125_000)), max(now, end) + timedelta(seconds=1)

    def machine(self) -> Machine:
        service = sorted(self.instant() for _ in range(self._rng.choice((1, 1, 2, 4))))
        values = [self._rng.choice((True, True, False, None)) for _ in service]
        return Machine(
            f"machine {next(numbers)}",
            self._rng.choice(("A", "B", None)),
            tuple(zip(service, values, strict=True)),
            tuple(self.log() for _ in range(self._rng.randint(0, 8))),
        )

    def log(self) -> Log:
        first, last = sorted((self.instant(), self.instant()))
        down_from = first if self._rng.random() < 0.6 else None
        return Log(
            started_at=self.instant(),
            down_from=down_from,
            down_to=last if down_from and self._rng.random() < 0.8 else None,
            down_kind=self._rng.choice((None, "failure", "failure", "planned", "external")) if down_from else None,
            type=self._rng.choice(("error", "error", "info")),
            status=self._rng.choice(("open", "done", "done", "done", "cancelled")),
            is_deleted=self._rng.random() < 0.1,
        )

    def machines(self) -> list[Machine]:
        return [self.machine() for _ in range(self._rng.choice((0, 1, 1, 2, 3)))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(seeded_url):
    database = Database(seeded_url)
    await database.open()
    yield database
    await database.close()


@pytest.mark.untraced
# Rules at the edges of stops show in few plants.
@settings(max_examples=5 * settings().max_examples)
@given(st.integers(0, 2**32), st.sampled_from(ZONES), st.sampled_from(GROUPINGS))
async def test_figures_agree_with_a_plain_computation(database, seed, zone, group_by):
    plant = PlantGenerator(seed)
    machines, (start, end, now) = plant.machines(), plant.window()
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
