"""A test oracle for facets and stats: plain Python over the records that GET returns; downtime minute by minute."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

from machine_monitor.database.connect import Database
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from query import oracle

MINUTE = timedelta(minutes=1)
# The numbers among these count in sums, also those that are texts.
COSTS = (40, 0.1, 0.2, -3.5, "12.5", "-0.0", 1e300, 5e-324, "1e999", "x", "", True)
# The end of downtimes that are still running.
NOW = datetime(2025, 11, 3, 9, 0, tzinfo=UTC)
# Days around DST changes in Paris and New York and the ends of ISO years.
DAYS = ("2020-12-28", "2021-01-03", "2024-12-30", "2025-03-08", "2025-03-29", "2025-10-25", "2025-11-01")
MACHINE_NAMES = ("Écluse", "a", "B", "c", "🛠")
SECTORS = {"Écluse": "1A", "a": "1B", "B": None, "c": "1A", "🛠": ""}
FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
# The fields of which all records are counted; then the others, and an attribute of each resource that has some.
COUNTED = (
    *("machine", "type", "severity", "status", "project", "user", "machine.name", "machine.sector", "machine.usage"),
    *("machine.manufacturer", "machine.model", "machine.serial_number", "machine.year_of_acquisition"),
    *("machine.in_service", "machine.attributes.site", "machine.listed", "machine.version", "machine.id"),
    *("machine.attachment_count", "type.code", "type.label", "type.counts_as_failure", "type.active", "type.version"),
    *("user.trigram", "user.first_name", "user.last_name", "user.role", "user.active", "user.version"),
)
FACETS = (*COUNTED, "uuid", "down_kind", "attributes.cost", "version", "attachment_count")
# Texts, numbers and booleans: of one machine each, and one without.
SITES = {"Écluse": "Nord", "a": 12.5, "B": False, "c": "nord ", "🛠": None}


def log(rng: Random) -> dict:
    """Return a random log with times in whole minutes, with or without a downtime."""
    start = datetime.fromisoformat(rng.choice(DAYS)).replace(tzinfo=UTC) + rng.randrange(4 * 24 * 60) * MINUTE
    stop = start + rng.randrange(-300, 300) * MINUTE if rng.random() < 0.4 else None
    # A downtime that is still running began at most four days ago, because each minute is counted.
    running = stop is None or (NOW - stop < timedelta(days=4) and rng.random() < 0.5)
    end = None if running else stop + rng.choice((0, 1, 90, 90, 600, 1500, 5000)) * MINUTE
    ended = start + rng.randrange(5000) * timedelta(seconds=7.5) if rng.random() < 0.6 else None
    costs = {"cost": rng.choice(COSTS), "n": rng.randrange(-50, 50) / 8} if rng.random() < 0.5 else {}
    return {
        "machine": rng.choice(MACHINE_NAMES),
        "type": rng.choice(("info", "error", "error", "X-1.a", "reload")),
        "severity": rng.choice(("info", "minor", "major", "critical")),
        "status": rng.choice(("open", "in_progress", "done", "done", "done", "cancelled")),
        "user": rng.choice((None, "ABC", "abd")),
        "project": rng.choice((None, "", "P1", "p1", "é")),
        "comment": rng.choice((None, "fuite d'huile", "moteur à l'arrêt", "Huile moteur")),
        "started_at": start.isoformat(),
        "ended_at": ended and ended.isoformat(),
        "down_from": stop and stop.isoformat(),
        "down_to": end and end.isoformat(),
        "down_kind": stop and rng.choice((None, None, "failure", "planned", "external")),
        "attributes": costs,
    }


def machine(name: str, number: int) -> dict:
    site = {} if SITES[name] is None else {"site": SITES[name]}
    years = (None, 1999, 2001, 1900, 2001)
    return {
        "name": name,
        "sector": SECTORS[name],
        "usage": ("saw", None, "Saw")[number % 3],
        "year_of_acquisition": years[number],
        "in_service": number % 2 == 0,
        "attributes": site,
    }


def fill(url: str, seed: int, logs: int) -> None:
    """Fill a database with machines, types, users and random logs."""
    rng = Random(seed)
    bodies = [(MACHINES, machine(name, number)) for number, name in enumerate(MACHINE_NAMES)]
    bodies += [(LOG_TYPES, {"code": "X-1.a", "counts_as_failure": True})]
    bodies += [(USERS, {"trigram": "ABC", "role": "operator", "first_name": "É"}), (USERS, {"trigram": "abd"})]
    bodies += [(LOGS, log(rng)) for _ in range(logs)]
    validated = [(resource, resource.create.model_validate(body).model_dump(mode="json")) for resource, body in bodies]
    database = Database(url)
    database.transact(
        lambda tx: [records.insert(tx, resource, values, ChangeContext(via="test")) for resource, values in validated]
    )
    database.close_writer()


def value(record: dict, name: str):
    first, _, rest = name.partition(".")
    if not rest:
        return record[name]
    if first == "attributes":
        return record["attributes"].get(rest)
    related = record["expanded"][first]
    return None if related is None else value(related, rest)


def holds(record: dict, conditions: list, terms: list) -> bool:
    return all(oracle.holds(record, name, operator, list(operands)) for name, operator, operands in conditions) and all(
        oracle.contains_words(record, "logs", " ".join(words)) != excluded for words, excluded in terms
    )


def order(name: str, found) -> tuple:
    own = name.rpartition(".")[2]
    if found is None:
        return (True,)
    if own in oracle.RANKS:
        return (False, oracle.RANKS[own].index(found))
    if "attributes." in name:
        # Booleans, then numbers, then texts.
        return (False, isinstance(found, str), not isinstance(found, bool), found)
    return (False, found)


def facet(matching: list[dict], name: str, limit: int) -> list[dict]:
    counts = Counter(value(record, name) for record in matching)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], order(name, item[0])))
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


def is_failure(record: dict) -> bool:
    kind = record["down_kind"] or ("failure" if record["expanded"]["type"]["counts_as_failure"] else "planned")
    return record["status"] != "cancelled" and kind == "failure"


def duration_of(record: dict) -> Fraction | None:
    """Return the seconds of work of a log; None if they count for nothing."""
    if record["status"] == "cancelled" or record["ended_at"] is None:
        return None
    elapsed = oracle.parse_instant(record["ended_at"]) - oracle.parse_instant(record["started_at"])
    return Fraction(elapsed // timedelta(microseconds=1), 10**6)


def number_of(record: dict, name: str) -> float | None:
    """Return the finite number that an attribute is, or is the text of."""
    found = record["attributes"].get(name)
    if isinstance(found, str):
        found = oracle.parse_number(found)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and abs(found) != float("inf") else None


def measure(records: list[dict], metric: str):
    """Return a metric of a group's records, other than downtime."""
    if metric == "count":
        return len(records)
    if metric == "failures":
        return sum(map(is_failure, records))
    if metric.endswith("duration"):
        found = [duration for record in records if (duration := duration_of(record)) is not None]
        return float(sum(found)) if metric == "duration" else float(sum(found) / len(found)) if found else None
    function, _, path = metric.partition(":")
    name = path.partition(".")[2]
    numbers = [number for record in records if (number := number_of(record, name)) is not None]
    if function == "sum":
        return float(sum(map(Fraction, numbers)))
    if not numbers:
        return None
    return {"mean": lambda: float(sum(map(Fraction, numbers)) / len(numbers)), "min": lambda: min(numbers)}.get(
        function, lambda: max(numbers)
    )()


def stats(
    matching: list[dict], group_by: tuple, metrics: tuple, zone: ZoneInfo, window: tuple = (None, None)
) -> list[dict]:
    """Return the groups; `window` has the bounds as datetimes in whole minutes, or None."""
    first, last = (bound and int(bound.timestamp()) // 60 for bound in window)
    records, stopped_minutes = defaultdict(list), defaultdict(set)
    for record in matching:
        # Only the time units in a key depend on the minute.
        parts = [name if name in FORMATS else (value(record, name),) for name in group_by]
        started = oracle.parse_instant(record["started_at"])
        if (window[0] is None or started >= window[0]) and (window[1] is None or started < window[1]):
            records[key_of(parts, minute_of(record["started_at"]), zone)].append(record)
        if "downtime" in metrics and record["down_from"] and record["status"] != "cancelled":
            for minute in range(minute_of(record["down_from"]), minute_of(record["down_to"])):
                if (first is None or minute >= first) and (last is None or minute < last):
                    stopped_minutes[key_of(parts, minute, zone)].add((record["machine"], minute))
    groups = sorted(
        {*records, *stopped_minutes},
        key=lambda key: [order(name, found) for name, found in zip(group_by, key, strict=True)],
    )
    if not groups and not group_by:
        groups = [()]
    return [
        dict(zip(group_by, key, strict=True))
        | {
            name: 60 * len(stopped_minutes[key]) if name == "downtime" else measure(records[key], name)
            for name in metrics
        }
        for key in groups
    ]
