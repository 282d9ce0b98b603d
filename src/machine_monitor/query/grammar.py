"""The grammar of a query string: `field__op=value`, `q`, `sort`, paging. Every fault is found, none is ignored."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from machine_monitor.database import instants
from machine_monitor.database.kinds import OBJECT, TIME
from machine_monitor.errors import BadRequest, CursorMismatch, Fault, invalid
from machine_monitor.query import attributes, cursors, values, words
from machine_monitor.query.cursors import Cursor
from machine_monitor.query.operators import EQUAL, IS_NOT_NULL, IS_NULL, Operator
from machine_monitor.query.statements.shapes import Selection
from machine_monitor.query.times import Clock
from machine_monitor.query.values import BadValue, Value
from machine_monitor.query.vocabulary import Field, Resource
from machine_monitor.suggestions import nearest

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_OFFSET = 10_000
MAX_SUGGESTIONS = 10
COUNTS = ("none", "capped", "exact")
DIALECTS = ("rfc4180", "excel")
SELECTION = frozenset({"fields", "expand"})
PAGING = frozenset({"limit", "offset", "cursor", "count"})
PARAMETERS = SELECTION | PAGING | {"q", "sort"}
# An export shows single attributes too, each as a field of its own.
ATTRIBUTE = "attributes."
ATTRIBUTE_PATTERN = r"attributes[.](?![^.,]*__)[^.,]{1,64}"

_ATTRIBUTE = re.compile(ATTRIBUTE_PATTERN)

Pairs = list[tuple[str, str]]
Names = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Condition:
    """One filter: a field (of an attribute, with its key), an operator, the values."""

    field: Field
    operator: Operator
    values: tuple[Value, ...]
    key: str | None = None


@dataclass
class Listing:
    """A list as it was asked for, checked; `terms` is None where `q` can find nothing."""

    resource: Resource
    order: tuple[tuple[str, bool], ...] = ()
    conditions: tuple[Condition, ...] = ()
    terms: tuple[words.Term, ...] | None = ()
    limit: int = DEFAULT_LIMIT
    offset: int | None = None
    count: str = "none"
    fields: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    dialect: str = DIALECTS[0]
    cursor: Cursor | None = None
    basis: str = ""
    relative_to: str | None = None
    scope: dict[str, Any] = field(default_factory=dict)


def read_pairs(query_string: bytes) -> Pairs:
    """The names and values of a query string; raises `BadRequest` if they are not UTF-8."""
    try:
        return parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        message = "The query string is not UTF-8."
        raise BadRequest(message) from None


def read_list(resource: Resource, pairs: Pairs, clock: Clock, about: str = "") -> Listing:
    """What a list's query string asks for; raises the 400 or 422 that names every fault of it.

    `about` tells apart lists of one resource, such as the histories of two records: their cursors don't fit each other.
    """
    return Reader(resource, pairs, _parameters(resource)).listing(clock, about)


def read_export(resource: Resource, pairs: Pairs, clock: Clock, *, dialects: bool) -> Listing:
    """What an export's query string asks for: a list without pages, whose fields may be related ones and attributes."""
    parameters = (_parameters(resource) - PAGING) | ({"dialect"} if dialects else set())
    return Reader(resource, pairs, parameters, _names(tuple(resource.fields), _is_attribute)).listing(clock, "")


def read_selection(resource: Resource, pairs: Pairs) -> Selection:
    """`fields` and `expand` of a single record; raises the 422 that names every fault."""
    return Reader(resource, pairs, SELECTION).selection()


def refuse_all(pairs: Pairs) -> list[Fault]:
    """The faults of a query string where there is none."""
    names = dict.fromkeys(name for name, _ in pairs)
    return [Fault(f"There is no parameter '{name}' here.", "unknown", parameter=name) for name in names]


class Reader:
    """Takes the parameters one by one and keeps the faults."""

    def __init__(
        self, resource: Resource, pairs: Pairs, parameters: frozenset[str], read_fields: Names | None = None
    ) -> None:
        self.resource = resource
        self.parameters = parameters
        self.read_fields = read_fields or _names(tuple(resource.own_fields))
        self.faults: list[Fault] = []
        self.single: dict[str, str] = {}
        self.filters: dict[str, list[str]] = {}
        for name, value in pairs:
            if "\0" in value and name != "cursor":
                self._fault(name, "A value has no NUL.")
            elif name not in parameters:
                self.filters.setdefault(name, []).append(value)
            elif name in self.single:
                self._fault(name, f"'{name}' is given twice.")
            else:
                self.single[name] = value

    def listing(self, clock: Clock, about: str) -> Listing:
        """A list, checked."""
        listing = Listing(self.resource, basis=self._basis(about))
        cursor = listing.cursor = self._cursor(listing.basis)
        if cursor is not None and cursor.now is not None:
            clock = replace(clock, now=datetime.fromisoformat(cursor.now))
        listing.conditions, listing.terms = self._matching(clock)
        listing.order = total_order(self.resource, self._take("sort", self._sort, self.resource.sort))
        listing.limit = self._take("limit", values.bounded(1, MAX_LIMIT), str(DEFAULT_LIMIT))
        listing.offset = self._take("offset", values.bounded(0, MAX_OFFSET), None)
        listing.count = self._take("count", values.one_of(COUNTS), "none")
        listing.dialect = self._take("dialect", values.one_of(DIALECTS), DIALECTS[0])
        if cursor is not None and "offset" in self.single:
            self._fault("offset", "'offset' does not go with 'cursor'.")
        listing.fields, listing.expand = self._selected()
        self._raise_faults()
        listing.relative_to = instants.text(clock.now) if self._is_relative() else None
        return listing

    def selection(self) -> Selection:
        """`fields` and `expand`, checked."""
        for name in self.filters:
            self._unknown(name, tuple(sorted(SELECTION)))
        selection = self._selected()
        self._raise_faults()
        return selection

    def _selected(self) -> Selection:
        fields = self._take("fields", self.read_fields, None)
        expand = self._take("expand", _names(self.resource.expandable), None)
        return fields or tuple(self.resource.own_fields), expand or ()

    def _basis(self, about: str) -> str:
        """What the list's cursors belong to: its filters in any order, its search, its sort."""
        filters = sorted((name, value) for name, given in self.filters.items() for value in given)
        sort = self.single.get("sort", self.resource.sort)
        return cursors.basis(self.resource.name, self.resource.ties, about, filters, self.single.get("q", ""), sort)

    def _cursor(self, basis: str) -> Cursor | None:
        if "cursor" not in self.single:
            return None
        cursor = cursors.decode(self.single["cursor"])
        if cursor.basis != basis:
            raise CursorMismatch
        return cursor

    def _is_relative(self) -> bool:
        """Whether a filter means another instant tomorrow."""
        return any(
            self.resource.filters[name][0].kind is TIME and any(map(values.is_relative, given))
            for name, given in self.filters.items()
            if name in self.resource.filters
        )

    def _matching(self, clock: Clock) -> tuple[tuple[Condition, ...], tuple[words.Term, ...] | None]:
        return self._conditions(clock), self._take("q", _terms, "")

    def _conditions(self, clock: Clock) -> tuple[Condition, ...]:
        conditions: list[Condition] = []
        for name, texts in self.filters.items():
            found = self.resource.find_filter(name)
            if found is None:
                self._unknown(name, self._allowed(name), _key_rule(self.resource, name))
                continue
            known, operator, key = found
            try:
                conditions += [replace(condition, key=key) for condition in _conditions(known, operator, texts, clock)]
            except BadValue as error:
                self._fault(name, f"'{name}': {error}", error.allowed)
        return tuple(conditions)

    def _sort(self, text: str) -> tuple[tuple[str, bool], ...]:
        order: dict[str, bool] = {}
        for part in text.split(","):
            name = part.removeprefix("-")
            if name not in self.resource.sortable:
                message = f"there is no field '{name}' to sort by.{nearest(name, self.resource.sortable)}"
                raise BadValue(message, self.resource.sortable)
            if name in order:
                message = f"'{name}' is given twice."
                raise BadValue(message)
            order[name] = part.startswith("-")
        return tuple(order.items())

    def _take(self, name: str, read: Callable[[str], Any], default: str | None) -> Any:
        text = self.single.get(name, default)
        if text is None:
            return None
        try:
            return read(text)
        except BadValue as error:
            self._fault(name, f"'{name}': {error}", error.allowed)
            return read(default) if default is not None else None

    def _unknown(self, name: str, allowed: tuple[str, ...], rule: str = "") -> None:
        # The search for a near name is dear, and the list of all is long: the first faults have them.
        allowed = allowed if len(self.faults) < MAX_SUGGESTIONS else ()
        message = f"There is no parameter '{name}'.{nearest(name, allowed)}{rule}"
        self.faults.append(Fault(message, "unknown", parameter=name, allowed=allowed))

    def _allowed(self, name: str) -> tuple[str, ...]:
        """What could have been meant: the filters of the same field, or attribute, or all fields."""
        filters, field_name = self.resource.filters, name.partition("__")[0]
        any_key, key = attributes.split(field_name)
        own_key = key if any_key in filters and attributes.is_key(key) else attributes.ANY_KEY
        same = tuple(
            other.replace(attributes.ANY_KEY, own_key)
            for other, (known, _) in filters.items()
            if known.name == field_name or known.parameter == any_key
        )
        fields = [known.parameter for known, operator in filters.values() if operator is EQUAL]
        return same or (*sorted(self.parameters), *fields)

    def _fault(self, name: str, message: str, allowed: Iterable[str] = ()) -> None:
        self.faults.append(Fault(message, parameter=name, allowed=tuple(allowed)))

    def _raise_faults(self) -> None:
        if self.faults:
            raise invalid(self.faults)


def _parameters(resource: Resource) -> frozenset[str]:
    """What a list takes beside filters."""
    return PARAMETERS if resource.searched else PARAMETERS - {"q"}


def total_order(resource: Resource, order: tuple[tuple[str, bool], ...]) -> tuple[tuple[str, bool], ...]:
    """The order with the ties that make it total, in the direction of its last field."""
    names = [name for name, _ in order]
    if resource.ties[-1] in names:
        # What follows a unique field orders nothing.
        return order[: names.index(resource.ties[-1]) + 1]
    last = order[-1][1]
    return (*order, *((tie, last) for tie in resource.ties if tie not in names))


def _conditions(known: Field, operator: Operator, texts: list[str], clock: Clock) -> list[Condition]:
    """`field=a&field=b` is one condition, any of them; of another operator each must hold."""
    if operator.takes == "boolean":
        kinds = [IS_NULL if values.read_boolean(text) else IS_NOT_NULL for text in texts]
        return [Condition(known, kind, ()) for kind in kinds]
    read = [values.read(text, known.kind, operator, clock) for text in texts]
    if operator is EQUAL:
        return [Condition(known, operator, tuple(dict.fromkeys(value for group in read for value in group)))]
    return [Condition(known, operator, group) for group in read]


def _key_rule(resource: Resource, name: str) -> str:
    """What a key must be, after a blank, if the name is meant for one."""
    paths = [known.name for known in resource.fields.values() if known.kind is OBJECT]
    return f" {attributes.KEY_RULE}" if any(name.startswith(f"{path}.") for path in paths) else ""


def _terms(text: str) -> tuple[words.Term, ...] | None:
    try:
        return words.parse(text)
    except words.TooManyWords as error:
        raise BadValue(str(error)) from None


def _is_attribute(name: str) -> bool:
    return _ATTRIBUTE.fullmatch(name) is not None


def _names(allowed: tuple[str, ...], also: Callable[[str], bool] = lambda _: False) -> Names:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        for name in names:
            if name not in allowed and not also(name):
                message = f"There is no '{name}' to choose.{nearest(name, allowed)}"
                raise BadValue(message, allowed)
        return names

    return read
