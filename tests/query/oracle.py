"""A test oracle: the documented filters, search and sort in plain Python, over the records that GET returns."""

import json
import math
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
    "logs": ("comment", "cause", "action", "project", "machine", "user", "attributes"),
    "machines": ("name", "sector", "usage", "manufacturer", "model", "serial_number", "comment"),
}
PARIS = ZoneInfo("Europe/Paris")


IGNORABLE = "\u00ad\u034f\u200b\u200d\u2060\ufe0f"
LETTERS = {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
MARKS_DROPPED = ("LATIN", "GREEK", "ARABIC", "HEBREW")
# The first word of the name of each letter that is a word by itself.
LETTERS_ARE_WORDS = (
    *("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL"),
    *("THAI", "LAO", "KHMER", "MYANMAR"),
)


def first_of_name(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def fold(text: str) -> str:
    """Fold a text character by character; of the ignorable characters it knows those of the tests."""
    folded, base = "", " "
    for character in unicodedata.normalize("NFKD", text.translate(dict.fromkeys(map(ord, IGNORABLE)))).casefold():
        if not is_mark(character):
            base = character
            folded += LETTERS.get(character, character)
        elif first_of_name(base) not in MARKS_DROPPED and folded[-1:] + character != "\u0435\u0308":
            folded += character
    return unicodedata.normalize("NFC", folded)


def kind_of(character: str) -> str:
    """Return what the character is in a text: a letter that is a word, part of a word, or between words (empty)."""
    if first_of_name(character) in LETTERS_ARE_WORDS and character.isalnum() and not character.isdecimal():
        return "word"
    return "" if not character.isalnum() else "digit" if character.isdecimal() else "letter"


def words_of(text: str, *, cut: bool = False) -> list[str]:
    """Return the words of a text as it is, or with a cut between letters and digits."""
    words, last = [], ""
    for character in fold(text):
        kind = last if is_mark(character) and last else kind_of(character)
        if not kind:
            last = ""
            continue
        starts = not is_mark(character) and (kind == "word" or last in ("", "word") or (cut and kind != last))
        words = [*words, character] if starts else [*words[:-1], words[-1] + character]
        last = kind
    return [word[:64] for word in words]


def ends_in_word(text: str) -> bool:
    folded = fold(text)
    while folded and is_mark(folded[-1]):
        folded = folded[:-1]
    return bool(folded) and kind_of(folded[-1]) != ""


def json_value(record: dict, name: str):
    """Return a field, a field of a related record, or an attribute, as the API shows it."""
    *path, last = name.split(".")
    for part in path:
        record = (record["attributes"] if part == "attributes" else record["expanded"][part]) or {}
    return record.get(last)


def comparable_value(record: dict, name: str):
    """Return a field in a form that sorts correctly: times as datetimes, ranks as numbers."""
    return to_comparable(name, json_value(record, name))


def to_comparable(name: str, found):
    name = name.rpartition(".")[2]
    if found is None:
        return None
    if name in RANKS:
        return RANKS[name].index(found)
    return parse_instant(found) if name in TIMES else found


def parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def day_bounds(text: str, zone=PARIS) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(text).replace(tzinfo=zone)
    end = datetime.fromisoformat(text) + timedelta(days=1)
    return start.astimezone(ZoneInfo("UTC")), end.replace(tzinfo=zone).astimezone(ZoneInfo("UTC"))


def operand_bounds(name: str, text: str):
    """Return the bounds of a filter value, and whether it is a day: [start, end) of the day, else the value twice."""
    if name.rpartition(".")[2] in TIMES and len(text) == len("2025-07-25"):
        return (*day_bounds(text), True)
    operand = to_comparable(name, text)
    return operand, operand, False


def text_matches(found: str, operator: str, text: str) -> bool:
    operand, have = fold(text), fold(found)
    if text and not operand:
        return False
    return {"contains": operand in have, "startswith": have.startswith(operand), "endswith": have.endswith(operand)}[
        operator
    ]


def parse_number(text: str) -> float | None:
    """Parse a JSON number as a double, with Python's JSON parser; return None if the text is not a number."""
    try:
        read = json.loads(text, parse_constant=lambda _: None)
    except ValueError:
        return None
    if type(read) not in (int, float) or text.strip() != text:
        return None
    try:
        return float(read)
    except OverflowError:
        return math.inf if read > 0 else -math.inf


def operand_of(text: str) -> bool | float | str:
    """Interpret the value of a filter on an attribute as a boolean, a number or a text."""
    if text in ("true", "false"):
        return text == "true"
    if (read := parse_number(text)) is not None:
        return read
    return text[1:-1] if re.fullmatch(r'".*"', text, re.DOTALL) else text


def is_accepted(operator: str, text: str) -> bool:
    """Return whether a filter on an attribute accepts the value: infinite numbers and ordered booleans are invalid."""
    if operator in ("contains", "startswith", "endswith"):
        return True
    operand = operand_of(text)
    ordered = operator in ("lt", "lte", "gt", "gte")
    return not (ordered and isinstance(operand, bool)) and operand not in (math.inf, -math.inf)


def attribute_holds(found, operator: str, operands: list) -> bool:
    """Return whether an attribute satisfies a condition; operands are texts as in a query string."""
    if operator == "isnull":
        return (found is None) == operands[0]
    if operator in ("contains", "startswith", "endswith"):
        return isinstance(found, str) and text_matches(found, operator, operands[0])
    pairs = []
    for operand in map(operand_of, operands):
        have = found
        if isinstance(operand, float) and not isinstance(found, bool) and found is not None:
            have = parse_number(found) if isinstance(found, str) else float(found)
        if type(have) is type(operand):
            pairs.append((have, operand))
    if operator in ("", "in", "ne", "nin"):
        return any(have == operand for have, operand in pairs) == (operator in ("", "in"))
    return any(
        {"lt": have < operand, "lte": have <= operand, "gt": have > operand, "gte": have >= operand}[operator]
        for have, operand in pairs
    )


def holds(record: dict, name: str, operator: str, operands: list) -> bool:
    """Return whether a record satisfies a condition; operands are values, but texts for attributes."""
    if "attributes." in name:
        return attribute_holds(json_value(record, name), operator, operands)
    value = comparable_value(record, name)
    if operator == "isnull":
        return (value is None) == operands[0]
    if value is None:
        return operator in ("ne", "nin")
    if operator in ("contains", "startswith", "endswith"):
        return text_matches(value, operator, operands[0])
    ranges = [
        operand_bounds(name, operand) if isinstance(operand, str) else (operand, operand, False) for operand in operands
    ]
    inside = any(low <= value < high if is_day else value == low for low, high, is_day in ranges)
    low, high, is_day = ranges[0]
    return {
        "": inside,
        "in": inside,
        "ne": not inside,
        "nin": not inside,
        "lt": value < low,
        "lte": value < high if is_day else value <= low,
        "gt": value >= high if is_day else value > low,
        "gte": value >= low,
    }[operator]


def searched_texts(record: dict, resource: str) -> list[str]:
    values = [record[name] for name in SEARCHED[resource]]
    texts = [text for value in values for text in (value.values() if isinstance(value, dict) else [value])]
    return [text for text in texts if isinstance(text, str) and text]


def contains_words(record: dict, resource: str, typed: str, *, prefix: bool = False) -> bool:
    """Return whether the typed words occur one after another in one of the searched texts, as it is or cut."""
    words = words_of(typed)
    for have in (words_of(text, cut=cut) for text in searched_texts(record, resource) for cut in (False, True)):
        for start in range(len(have) - len(words) + 1):
            part = have[start : start + len(words)]
            last = part[-1].startswith(words[-1]) if prefix else part[-1] == words[-1]
            if part[:-1] == words[:-1] and last:
                return True
    return False


def sort_records(records: list[dict], sort: str, tiebreakers: tuple[str, ...]) -> list[dict]:
    """Sort records, which are given in the order in which they were written."""
    keys = [(part.removeprefix("-"), part.startswith("-")) for part in sort.split(",")]
    keys += [(tiebreaker, keys[-1][1]) for tiebreaker in tiebreakers if tiebreaker not in dict(keys)]
    ordered = list(reversed(records)) if keys[-1][1] else list(records)
    for name, descending in reversed(keys):
        nulls = [record for record in ordered if comparable_value(record, name) is None]
        rest = [record for record in ordered if comparable_value(record, name) is not None]
        ordered = sorted(rest, key=lambda record: comparable_value(record, name), reverse=descending) + nulls
    return ordered
