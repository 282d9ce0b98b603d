"""Query strings from Python values, and the pages of a list."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

Record = dict[str, Any]
Pairs = list[tuple[str, str]]

# Parameters whose values stand in one text, separated by commas. Other parameters are given once for each value.
COMMA_SEPARATED = frozenset({"fields", "expand", "sort", "by", "group_by", "metrics"})
COMMA_SEPARATED_OPERATORS = ("__in", "__nin")


class Page(NamedTuple):
    """A page of a list. `next` and `previous` are cursors or None; `total` is None unless `count` asked for it."""

    items: list[Record]
    next: str | None
    previous: str | None
    total: int | None
    total_capped: bool


def page_of(document: Mapping[str, Any]) -> Page:
    """Return a page from its JSON document; members that this client does not know are ignored."""
    return Page(**{name: document[name] for name in Page._fields})


def encode_query(query: Mapping[str, Any]) -> Pairs:
    """Return the parameters of a query string; raises `ValueError` for values that would not filter anything."""
    return [pair for name, value in query.items() for pair in _encode(name, value)]


def _encode(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        yield name, _encode_value(name, value)
        return
    if not value:
        raise ValueError(f"'{name}' is an empty list, which would not filter anything.")
    texts = [_encode_value(name, each) for each in value]
    if name in COMMA_SEPARATED:
        yield name, ",".join(texts)
    elif name.endswith(COMMA_SEPARATED_OPERATORS):
        yield name, _csv_line(texts)
    else:
        yield from ((name, text) for text in texts)


def _encode_value(name: str, value: Any) -> str:
    if value is None:
        raise ValueError(f"'{name}' is None: leave it out, or write {name}__isnull=True.")
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


def _csv_line(texts: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()
