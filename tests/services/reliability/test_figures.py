"""The figures of random plants agree with a plain computation."""

import json
from dataclasses import replace
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
from machine_monitor.models.log import LogUpdate
from machine_monitor.models.machine import MachineUpdate
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.projections import counters
from machine_monitor.services.projections.reliability import groups, request, summing
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

    def __init__(self, seed: int, zone: ZoneInfo) -> None:
        self._rng = Random(seed)
        self._base = self._rng.choice(STARTS)
        # Half of the plants have months that lie wholly in a window.
        self._scale = self._rng.choice((1, 30))
        first = self._base.replace(day=1)
        self.months = [start_of_month(first + timedelta(days=31 * number), zone) for number in range(6)]

    def instant(self) -> datetime:
        """Draw an instant: most are one of few, so that stops touch, and begin or end with a window or a month."""
        if self._rng.random() < 0.1:
            return self._rng.choice(self.months)
        steps = self._rng.randint(0, 2 * DAYS) * 12 * 60 * 60
        offset = steps if self._rng.random() < 0.8 else self._rng.randrange(DAYS * 24 * 60 * 60 * 8) / 8
        return self._base + timedelta(seconds=self._scale * offset)

    def window(self) -> tuple[datetime, datetime, datetime]:
        """Draw the start and the end of the window, and the current time, which is later."""
        start, end, now = sorted(self.instant() for _ in range(3))
        if self._rng.random() < 0.5:
            start, end = self._base, max(end, self._base + timedelta(days=self._scale * (DAYS - 1)))
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

    def is_chosen(self) -> bool:
        return self._rng.random() < 0.5


def start_of_month(moment: datetime, zone: ZoneInfo) -> datetime:
    return datetime(moment.year, moment.month, 1, tzinfo=zone).astimezone(UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(seeded_url):
    database = Database(seeded_url)
    await database.open()
    yield database
    # The plants have changed the zone.
    database.transact(lambda tx: counters.rebuild(tx, PARIS))
    await database.close()


@pytest.mark.untraced
# Rules at the edges of stops show in few plants.
@settings(max_examples=5 * settings().max_examples)
@given(st.integers(0, 2**32), st.sampled_from(ZONES), st.sampled_from(GROUPINGS))
async def test_figures_agree_with_a_plain_computation(database, seed, zone, group_by):
    plant = PlantGenerator(seed, zone)
    machines, (start, end, now) = plant.machines(), plant.window()
    usage = f"plant {next(numbers)}"
    await write_and_sum_up(database, plant, machines, usage, zone)
    bounds = {name: instants.format_instant(moment) for name, moment in (("from", start), ("to", end))}
    found = await measure(database, TimeContext(zone, now), group_by, **bounds, **{"machine.usage": usage})
    assert found["window"] == bounds
    assert found["groups"] == expected_groups(machines, start, end, zone, group_by)
    assert not found["truncated"]


async def write_and_sum_up(database, plant, machines, usage, zone) -> None:
    """Write the machines and their logs, in parts and with changes; sum up months in between."""
    database.transact(lambda tx: set_zone(tx, zone))
    database.transact(lambda tx: write_machines(tx, usage, machines))
    logs = [(machine.name, log) for machine in machines for log in machine.logs]
    at_first = [(number, *each) for number, each in enumerate(logs) if plant.is_chosen()]
    keys = database.transact(lambda tx: {number: write_draft(tx, plant, machines, log) for number, _, log in at_first})
    for until in plant.months[:: plant.is_chosen() + 1]:
        if plant.is_chosen():
            await sum_up(database, machines, until, zone)
    changed_before = [machine for machine in machines if plant.is_chosen()]
    database.transact(lambda tx: [change_service(tx, machine) for machine in changed_before])
    database.transact(lambda tx: [finish_log(tx, machine, log, keys.get(n)) for n, (machine, log) in enumerate(logs)])
    database.transact(lambda tx: [change_service(tx, one) for one in machines if one not in changed_before])
    if plant.is_chosen():
        await sum_up(database, machines, plant.months[-1], zone)


async def sum_up(database, machines, until, zone) -> None:
    names = [machine.name for machine in machines]
    ids = database.transact(lambda tx: [records.Target(MACHINES, name).find_or_fail(tx).id for name in names])
    await summing.sum_machines(database, summing.Batch(tuple(ids), until, zone, "claim"))


def set_zone(tx, zone: ZoneInfo) -> None:
    tx.cursor.execute(f"UPDATE derived SET value = '{zone.key}' WHERE name = 'zone'")


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


def write_machines(tx, usage: str, machines: list[Machine]) -> None:
    for machine in machines:
        created_at, in_service = machine.service[0]
        fields = {"name": machine.name, "sector": machine.sector, "usage": usage, "in_service": in_service}
        records.insert(tx, MACHINES, validated(MACHINES, fields), at(created_at))


def change_service(tx, machine: Machine) -> None:
    for changed_at, in_service in machine.service[1:]:
        body = MachineUpdate.model_validate({"in_service": in_service})
        records.update(tx, records.Target(MACHINES, machine.name), body, at(changed_at))


def write_draft(tx, plant: PlantGenerator, machines: list[Machine], final: Log) -> str:
    """Write what `finish_log` changes to `final`: some log of some machine, deleted if the final one is not."""
    draft = replace(plant.log(), is_deleted=not final.is_deleted and plant.is_chosen())
    return insert_log(tx, machines[plant.is_chosen() % len(machines)].name, draft)


def finish_log(tx, machine: str, log: Log, key: str | None) -> None:
    if key is None:
        insert_log(tx, machine, log)
        return
    target = records.Target(LOGS, key)
    if target.find(tx).is_deleted:
        records.restore(tx, target, at(log.started_at))
    records.update(tx, target, LogUpdate.model_validate(fields_of(machine, log)), at(log.started_at))
    if log.is_deleted:
        records.delete(tx, target, at(log.started_at))


def insert_log(tx, machine: str, log: Log) -> str:
    written = records.insert(tx, LOGS, validated(LOGS, fields_of(machine, log)), at(log.started_at))
    if log.is_deleted:
        records.delete(tx, records.Target(LOGS, written.key), at(log.started_at))
    return written.key


def fields_of(machine: str, log: Log) -> dict:
    moments = {name: getattr(log, name) for name in ("started_at", "down_from", "down_to")}
    fields = {name: moment and instants.format_instant(moment) for name, moment in moments.items()}
    return {"machine": machine, **fields, **{name: getattr(log, name) for name in ("down_kind", "type", "status")}}


def validated(resource, fields: dict) -> dict:
    return resource.create.model_validate(fields).model_dump(mode="json")


def at(moment: datetime) -> ChangeContext:
    return ChangeContext(via="test", at=instants.format_instant(moment))
