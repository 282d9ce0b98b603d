"""Helpers for tests of the legacy sync: short functions for a database and for a folder of legacy records."""

import json
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.models import LOGS, MACHINES, RESOURCES
from machine_monitor.models.log import LogUpdate
from machine_monitor.models.machine import MachineUpdate
from machine_monitor.models.schemas import READ_ONLY
from machine_monitor.query import lists
from machine_monitor.query.language import parser
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import Target

PARIS = ZoneInfo("Europe/Paris")
UUID = "00000000-0000-4000-8000-0000000000{:02}"
AT = "2025_07_25__15_18_25"
UPDATES = {LOGS: LogUpdate, MACHINES: MachineUpdate}
OUTCOMES = ("created", "updated", "unchanged", "conflict", "rejected")


def counts(**outcomes):
    return dict.fromkeys(OUTCOMES, 0) | outcomes


def rows(target, query):
    def unit(tx):
        tx.cursor.execute(query)
        return tx.cursor.fetchall()

    return target.transact(unit)


def total(target, resource, query):
    """Return the number of records that a filter finds."""
    time_context = TimeContext(PARIS, instants.now())
    list_query = parser.parse_list_query(
        resource, parser.parse_query_string(f"count=exact&limit=1&{query}".encode()), time_context
    )
    return target.snapshot(lambda tx: tx.execute(*lists.compile_list(tx.engine, list_query)))[0][1]


def read_all(target, resource):
    stored = target.transact(lambda tx: records.read_all(tx, resource))
    return {record[resource.key]: record for record in stored}


def everything(target):
    """Return all writable fields of all records."""
    return {
        resource.name: {
            key: {name: value for name, value in record.items() if name not in READ_ONLY}
            for key, record in read_all(target, resource).items()
        }
        for resource in RESOURCES
    }


def history(target, resource, key):
    """Return the history of a record, oldest entry first."""
    columns = 'op, version, "user", via, changes, note, at'
    where = f"resource = '{resource.name}' AND \"key\" = '{key}'"
    return rows(target, f"SELECT {columns} FROM history WHERE {where} ORDER BY seq")


def create(target, resource, **values):
    body = resource.create.model_validate(values)
    target.transact(lambda tx: records.create(tx, resource, body, ChangeContext("anonymous")))


def patch(target, resource, key, **values):
    body = UPDATES[resource].model_validate(values)
    target.transact(lambda tx: records.update(tx, Target(resource, key), body, ChangeContext("anonymous")))


def delete(target, resource, key):
    target.transact(lambda tx: records.delete(tx, Target(resource, key), ChangeContext("anonymous")))


def problems_of(report, file):
    return [(p["field"], p["level"], p["code"]) for p in report["problems"] if p["file"] == file]


def write(path, **members):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(members), encoding="utf-8")
