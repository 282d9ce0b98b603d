"""A test oracle for facets and stats: plain Python over the records that GET returns; downtime minute by minute."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from query import oracle

MINUTE = timedelta(minutes=1)
# The end of downtimes that are still running.
NOW = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)
# Days around DST changes in Paris and New York and the ends of ISO years.
DAYS = ("2020-12-28", "2021-01-03", "2024-12-30", "2025-03-08", "2025-03-29", "2025-10-25", "2025-11-01")
MACHINE_NAMES = ("Écluse", "a", "B", "c", "🛠")
SECTORS = {"Écluse": "1A", "a": "1B", "B": None, "c": "1A", "🛠": ""}
FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
FACETS = ("machine", "type", "severity", "status", "user", "project", "machine.sector")


def log(rng: Random) -> dict:
    """Return a random log with times in whole minutes, with or without a downtime."""
    start = datetime.fromisoformat(rng.choice(DAYS)).replace(tzinfo=UTC) + rng.randrange(4 * 24 * 60) * MINUTE
    stop = start + rng.randrange(-300, 300) * MINUTE if rng.random() < 0.4 else None
    # A downtime that is still running began at most four days ago, because each minute is counted.
    running = stop is None or (NOW - stop < timedelta(days=4) and rng.random() < 0.5)
    end = None if running else stop + rng.choice((0, 1, 90, 90, 600, 1500, 5000)) * MINUTE
    return {
        "machine": rng.choice(MACHINE_NAMES),
        "type": rng.choice(("info", "error", "error", "X-1.a", "reload")),
        "severity": rng.choice(("info", "minor", "major", "critical")),
        "status": rng.choice(("open", "in_progress", "done", "done")),
        "user": rng.choice((None, "ABC", "abd")),
        "project": rng.choice((None, "", "P1", "p1", "é")),
        "comment": rng.choice((None, "fuite d'huile", "moteur à l'arrêt", "Huile moteur")),
        "started_at": start.isoformat(),
        "down_from": stop and stop.isoformat(),
        "down_to": end and end.isoformat(),
    }


def fill(url: str, seed: int, logs: int) -> None:
    """Fill a database with machines, types, users and random logs."""
    rng = Random(seed)
    bodies = [(MACHINES, {"name": name, "sector": SECTORS[name]}) for name in MACHINE_NAMES]
    bodies += [(LOG_TYPES, {"code": "X-1.a", "counts_as_failure": True})]
    bodies += [(USERS, {"trigram": trigram}) for trigram in ("ABC", "abd")]
    bodies += [(LOGS, log(rng)) for _ in range(logs)]
    validated = [(resource, resource.create.model_validate(body).model_dump(mode="json")) for resource, body in bodies]
    database = Database(url)
    database.transact(
        lambda tx: [records.insert(tx, resource, values, ChangeContext(via="test")) for resource, values in validated]
    )
    database.close_writer()


def value(record: dict, name: str):
    return record["expanded"]["machine"]["sector"] if name == "machine.sector" else record[name]


def holds(record: dict, conditions: list, terms: list) -> bool:
    return all(oracle.holds(record, name, operator, list(operands)) for name, operator, operands in conditions) and all(
        oracle.contains_words(record, "logs", " ".join(words)) != excluded for words, excluded in terms
    )


def order(name: str, found) -> tuple:
    return (found is None, oracle.RANKS[name].index(found) if name in oracle.RANKS and found is not None else found)


def facet(matching: list[dict], name: str, limit: int) -> list[dict]:
    counts = Counter(value(record, name) for record in matching)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], *order(name, item[0])))
    return [{"value": found, "count": count} for found, count in ordered[:limit]]


@cache
def bucket(minute: int, unit: str, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(60 * minute, zone).strftime(FORMATS[unit])


def minute_of(text: str | None) -> int:
    """Return the minutes since 1970; a missing end means now."""
    return int((oracle.parse_instant(text) if text else NOW).timestamp()) // 60


def key_of(parts: list, minute: int, zone: ZoneInfo) -> tuple:
    """Return a group key; a part is the name of a time unit, or a tuple with a value."""
    return tuple([bucket(minute, part, zone) if isinstance(part, str) else part[0] for part in parts])


def stats(matching: list[dict], group_by: tuple, metrics: tuple, zone: ZoneInfo) -> list[dict]:
    counts, failures, stopped_minutes = Counter(), Counter(), defaultdict(set)
    for record in matching:
        # Only the time units in a key depend on the minute.
        parts = [name if name in FORMATS else (value(record, name),) for name in group_by]
        key = key_of(parts, minute_of(record["started_at"]), zone)
        counts[key] += 1
        failures[key] += record["expanded"]["type"]["counts_as_failure"]
        if "downtime" in metrics and record["down_from"]:
            for minute in range(minute_of(record["down_from"]), minute_of(record["down_to"])):
                stopped_minutes[key_of(parts, minute, zone)].add((record["machine"], minute))
    groups = sorted(
        {*counts, *stopped_minutes},
        key=lambda key: [order(name, found) for name, found in zip(group_by, key, strict=True)],
    )
    measured = {
        "count": lambda key: counts[key],
        "failures": lambda key: failures[key],
        "downtime": lambda key: 60 * len(stopped_minutes[key]),
    }
    found = [dict(zip(group_by, key, strict=True)) | {name: measured[name](key) for name in metrics} for key in groups]
    return found if found or group_by else [dict.fromkeys(metrics, 0)]
