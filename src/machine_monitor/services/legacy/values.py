"""Parse the values of the legacy tool's records; a `ValueError` has a message for the report."""

import ast
import hashlib
import json
import math
import re
import unicodedata
import warnings
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.models import LOG_TYPES, USERS
from machine_monitor.models.fields import MAX_ATTRIBUTE_TEXT
from machine_monitor.query.language.times import EARLIEST, LATEST, Shift, local_to_utc
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.services.records import validation

TIME_FORMAT = "%Y_%m_%d__%H_%M_%S"
FLAGS = dict.fromkeys(("oui", "o", "yes", "y", "true", "1"), True)
FLAGS |= dict.fromkeys(("non", "n", "no", "false", "0"), False)
RELOAD = "empty consumable & reload"
MAX_EDITS_TEXT = 100_000


class Edit(NamedTuple):
    """An edit made in the legacy tool: its time and its author."""

    at: str
    user: str | None


def year(value: Any) -> int | None:
    """Parse a year: a number, or its digits as text."""
    if isinstance(value, str):
        value = value.strip()
        if re.fullmatch(r"[0-9]{1,9}", value):
            return int(value)
    if value in ("", None):
        return None
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value)
    raise ValueError(f"Expected a year, such as 2019, not {value!r:.60}.")


def flag(value: Any) -> bool | None:
    """Parse a yes or no of the legacy tool; None if it is empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    text = str(value).strip().lower()
    if isinstance(value, str | bool | int) and text in FLAGS:
        return FLAGS[text]
    raise ValueError(f"Expected one of oui, o, yes, y, true, 1, non, n, no, false, 0, not {value!r:.60}.")


def instant(value: Any, zone: ZoneInfo) -> tuple[str, Shift | None]:
    """Parse a local time such as 2025_07_25__15_18_25; also returns whether a clock change affected it."""
    try:
        found, shift = local_to_utc(datetime.strptime(value, TIME_FORMAT), zone)  # noqa: DTZ007 -- the zone follows
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"Expected a time such as 2025_07_25__15_18_25, not {value!r:.60}.") from None
    if not EARLIEST <= found < LATEST:
        raise ValueError("The time must be between 1970 and 2100.")
    return instants.format_instant(found), shift


def clock(at: str, zone: ZoneInfo) -> str:
    """Format an instant as the legacy tool does."""
    return datetime.fromisoformat(at).astimezone(zone).strftime(TIME_FORMAT)


def trigram(first_name: str, last_name: str) -> str:
    """Return the trigram of a name as the legacy tool makes it: the initial, and two letters of the last name."""
    letters = [
        unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() for name in (first_name, last_name)
    ]
    first, last = [re.sub(r"[^A-Za-z]", "", name).lower() for name in letters]
    return f"{first[:1]}{last[:2]}"


def type_code(text: str) -> tuple[str, str | None]:
    """Return the code of a legacy type, and the label if the code had to be derived from it."""
    if text.lower() == RELOAD:
        return "reload", None
    if not validation.key_faults(LOG_TYPES, text):
        return text, None
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    code = re.sub(r"[^A-Za-z0-9_.-]+", "-", letters).strip("-_.")[:40].rstrip("-_.")
    return code or f"type-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}", text


def entries(value: Any) -> list[Any]:
    """Parse the edits of a log: a list, or a Python literal as text, which is parsed but never evaluated."""
    if value in ("", None):
        return []
    if isinstance(value, str):
        if len(value) > MAX_EDITS_TEXT:
            raise ValueError("The list of edits is too long. It is not imported.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError("The list of edits is not valid. It is not imported.") from None
    if isinstance(value, list | tuple):
        return list(value)
    raise ValueError("Expected a list of edits. They are not imported.")


def edit(entry: Any, zone: ZoneInfo) -> Edit:
    """Parse one edit: a time and a trigram."""
    if not isinstance(entry, list | tuple) or len(entry) != 2:
        raise ValueError("Expected a time and a trigram. The edit is not imported.")
    at, user = entry
    if user not in ("", None) and (not isinstance(user, str) or validation.key_faults(USERS, user)):
        raise ValueError("The author of an edit is not a valid trigram. The edit is not imported.")
    return Edit(instant(at, zone)[0], user or None)


def attribute_content(value: Any) -> tuple[Any, str | None]:
    """Return the value that an attribute can store, and a note if it was adjusted."""
    adjusted = None
    if isinstance(value, dict | list):
        value, adjusted = json.dumps(value, ensure_ascii=False), "Objects and lists are stored as JSON text."
    elif (isinstance(value, float) and not math.isfinite(value)) or (type(value) is int and abs(value) > MAX_INTEGER):
        value, adjusted = str(value), "The number is out of range. It is stored as text."
    if isinstance(value, str) and len(value) > MAX_ATTRIBUTE_TEXT:
        value, adjusted = value[:MAX_ATTRIBUTE_TEXT], "The text is longer than 1,000 characters. It is truncated."
    return value, adjusted
