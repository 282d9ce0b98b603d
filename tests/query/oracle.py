"""The contract's filters, search and order once more, in plain Python over the records as GET answers them."""

import re
import unicodedata
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

RANKS = {
    "severity": ("info", "minor", "major", "critical"),
    "role": ("viewer", "operator", "lead", "supervisor", "admin"),
}
TIMES = {"started_at", "ended_at", "down_from", "down_to", "created_at", "updated_at"}
SEARCHED = {
    "logs": ("comment", "cause", "action", "project", "machine", "user"),
    "machines": ("name", "sector", "usage", "manufacturer", "model", "serial_number", "comment"),
}
PARIS = ZoneInfo("Europe/Paris")


def fold(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in folded if unicodedata.category(character)[0] != "M")


def cut(text: str) -> list[str]:
    return [word[:64] for word in re.findall(r"[^\W_]+", fold(text))]


def value(record: dict, name: str):
    """A field in the form that orders it: times as instants, ranks as numbers."""
    path, _, last = name.rpartition(".")
    for part in filter(None, path.split(".")):
        record = record["expanded"][part] or {}
    return comparable(last, record.get(last))


def comparable(name: str, found):
    name = name.rpartition(".")[2]
    if found is None:
        return None
    if name in RANKS:
        return RANKS[name].index(found)
    return instant(found) if name in TIMES else found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def day(text: str, zone=PARIS) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(text).replace(tzinfo=zone)
    following = datetime.fromisoformat(text) + timedelta(days=1)
    return start.astimezone(ZoneInfo("UTC")), following.replace(tzinfo=zone).astimezone(ZoneInfo("UTC"))


def span(name: str, text: str):
    """What a filter's value covers, from its first to past its last."""
    if name.rpartition(".")[2] in TIMES and len(text) == len("2025-07-25"):
        return (*day(text), True)
    one = comparable(name, text)
    return one, one, False


def holds(record: dict, name: str, operator: str, operands: list) -> bool:
    """Whether one condition holds; `operands` are the values, not their spelling."""
    found = value(record, name)
    if operator == "isnull":
        return (found is None) == operands[0]
    if found is None:
        return operator in ("ne", "nin")
    if operator in ("contains", "startswith", "endswith"):
        wanted, have = fold(operands[0]), fold(found)
        return {"contains": wanted in have, "startswith": have.startswith(wanted), "endswith": have.endswith(wanted)}[
            operator
        ]
    spans = [span(name, operand) if isinstance(operand, str) else (operand, operand, False) for operand in operands]
    inside = any(low <= found < high if whole else found == low for low, high, whole in spans)
    low, high, whole = spans[0]
    return {
        "": inside,
        "in": inside,
        "ne": not inside,
        "nin": not inside,
        "lt": found < low,
        "lte": found < high if whole else found <= low,
        "gt": found >= high if whole else found > low,
        "gte": found >= low,
    }[operator]


def occurs(record: dict, resource: str, words: list[str], *, prefix: bool = False) -> bool:
    """Whether words follow each other in one of the searched fields."""
    for name in SEARCHED[resource]:
        have = cut(record[name] or "")
        for start in range(len(have) - len(words) + 1):
            part = have[start : start + len(words)]
            last = part[-1].startswith(words[-1]) if prefix else part[-1] == words[-1]
            if part[:-1] == words[:-1] and last:
                return True
    return False


def order(records: list[dict], sort: str, ties: tuple[str, ...]) -> list[dict]:
    """The records in order; they come in the order of writing."""
    keys = [(part.removeprefix("-"), part.startswith("-")) for part in sort.split(",")]
    keys += [(tie, keys[-1][1]) for tie in ties if tie not in dict(keys)]
    ordered = list(reversed(records)) if keys[-1][1] else list(records)
    for name, descending in reversed(keys):
        nulls = [record for record in ordered if value(record, name) is None]
        rest = [record for record in ordered if value(record, name) is not None]
        ordered = sorted(rest, key=lambda record: value(record, name), reverse=descending) + nulls
    return ordered
