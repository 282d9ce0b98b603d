"""The demo data: reproducible, valid and realistic."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.models.log import LogCreate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import parse_list_query
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import demo
from machine_monitor.services.demo.plant import KINDS, PEOPLE
from machine_monitor.services.demo.texts import FAULTS, in_language

UNTIL = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
INITIAL_TYPES = {"info", "error", "reload", "maintenance", "inspection", "cleaning", "setting"}
time = datetime.fromisoformat


@pytest.fixture(scope="module")
def entries():
    return demo.plan(until=UNTIL)


@pytest.fixture(scope="module")
def logs(entries):
    return sorted(values_of(entries, LOGS), key=lambda log: log["started_at"])


def values_of(entries, resource):
    return [entry.values for entry in entries if entry.resource is resource]


def test_the_same_seed_and_end_give_the_same_records(entries):
    assert demo.plan(40, 5_000, 1, UNTIL) == entries
    assert demo.plan(40, 5_000, 2, UNTIL) != entries


@pytest.mark.parametrize(("machines", "logs"), [(1, 0), (1, 30), (2, 30), (12, 1), (40, 5_000), (130, 200)])
def test_the_demo_has_the_requested_number_of_records(machines, logs):
    entries = demo.plan(machines, logs, 3, UNTIL)
    assert len({machine["name"] for machine in values_of(entries, MACHINES)}) == machines
    assert len({log["uuid"] for log in values_of(entries, LOGS)}) == len(values_of(entries, LOGS)) == logs
    assert len(values_of(entries, USERS)) == 12


def test_records_are_written_in_order_soon_after_the_event(entries):
    assert [time(entry.at) for entry in entries] == sorted(time(entry.at) for entry in entries)
    for entry in entries:
        if entry.resource is LOGS:
            delay = time(entry.at) - time(entry.values["ended_at"] or entry.values["started_at"])
            assert timedelta(0) <= delay < timedelta(minutes=30)


def test_a_log_passes_the_schema_and_has_whole_minutes_of_the_three_years(logs):
    for log in logs:
        assert LogCreate.model_validate(log).model_dump(mode="json") == log
        times = [time(log[name]) for name in ("started_at", "ended_at", "down_from", "down_to") if log[name]]
        assert all(UNTIL - demo.PERIOD <= at <= UNTIL and at.second == 0 for at in times)


def test_a_stopped_machine_gets_no_logs_and_spindle_hours_never_decrease(logs):
    free_at, hours = {}, {}
    for log in logs:
        assert free_at.get(log["machine"], "") <= log["started_at"]
        if log["down_from"]:
            free_at[log["machine"]] = log["down_to"] or "3"
        run = log["attributes"].get("spindle_hours", hours.get(log["machine"], 0))
        assert hours.get(log["machine"], 0) <= run
        hours[log["machine"]] = run


def test_each_user_writes_in_one_language(logs):
    languages = {row[2]: name for name in ("en", "fr") for rows in FAULTS.values() for row in in_language(rows, name)}
    pairs = {(log["user"], languages[log["action"]]) for log in logs if log["user"] and log["action"] in languages}
    assert pairs == {(person.trigram, person.language) for person in PEOPLE if person.role != "viewer"}


def test_nights_and_sundays_in_local_time_have_few_logs():
    zone = ZoneInfo("America/Montreal")
    logs = values_of(demo.plan(logs=2_000, until=UNTIL.astimezone(zone)), LOGS)
    starts = [time(log["started_at"]).astimezone(zone) for log in logs]
    assert 0 < sum(start.hour < 6 for start in starts) < 200
    assert 0 < sum(start.weekday() == 6 for start in starts) < 60


def test_most_logs_are_done_and_few_machines_cause_most_failures(logs):
    status = Counter(log["status"] for log in logs)
    assert status["done"] > 4_900
    assert all(0 < status[name] < 60 for name in ("open", "in_progress", "cancelled"))
    assert 3 <= len([log for log in logs if log["down_from"] and not log["down_to"]]) <= 6
    faults = Counter(log["machine"] for log in logs if log["type"] == "error")
    assert sum(count for _, count in faults.most_common(8)) > faults.total() / 2


def test_every_field_type_severity_and_fault_is_used(logs):
    assert all(any(log[name] for log in logs) for name in LOGS.create.model_fields)
    assert {log["type"] for log in logs} == INITIAL_TYPES | {"calibration", "safety"}
    assert {log["severity"] for log in logs} == {"info", "minor", "major", "critical"}
    assert {fault for kind in KINDS for fault in kind.faults.split()} == set(FAULTS)


async def test_the_demo_data_can_be_searched(database):
    progress, entries = [], demo.plan(26, 600, until=UNTIL)
    demo.fill(database, entries, lambda done, total: progress.append((done, total)))
    assert progress[-1] == (len(entries), len(entries))
    assert await total(database, LOGS) == 600
    assert await total(database, MACHINES, in_service="false") == 2
    causes = Counter((log["machine"], log["cause"]) for log in values_of(entries, LOGS) if log["cause"])
    [((machine, cause), count)] = causes.most_common(1)
    assert await total(database, LOGS, q=f'"{machine}" "{cause}"') == count > 3


async def total(database, resource, **filters):
    pairs = [*filters.items(), ("count", "exact")]
    return (await lists.fetch(database, parse_list_query(resource, pairs, TimeContext(ZoneInfo("UTC"), UNTIL)))).total
