"""Parse query strings: filters (`field__op=value`), `q`, `sort` and paging.

All faults are reported together; unknown parameters are errors.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TypeVar
from urllib.parse import parse_qsl

from machine_monitor.database import instants
from machine_monitor.database.kinds import OBJECT, TIME
from machine_monitor.errors import BadRequest, CursorMismatch, Fault, invalid
from machine_monitor.query.language import attributes, cursors, search_terms, values
from machine_monitor.query.language.cursors import Cursor
from machine_monitor.query.language.operators import EQUAL, IS_NOT_NULL, IS_NULL, Operator
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.language.values import BadValue, Value
from machine_monitor.query.schema import Field, Resource, Selection
from machine_monitor.suggestions import did_you_mean

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_OFFSET = 10_000
MAX_SUGGESTIONS = 10
COUNTS = ("none", "capped", "exact")
DIALECTS = ("rfc4180", "excel")
SELECTION = frozenset({"fields", "expand"})
PAGING = frozenset({"limit", "offset", "cursor", "count"})
PARAMETERS = SELECTION | PAGING | {"q", "sort"}
# In an export, `fields` can also name single attributes, such as attributes.temp.
ATTRIBUTE = "attributes."
ATTRIBUTE_PATTERN = r"attributes[.](?![^.,]*__)[^.,]{1,64}"

# Parsers of the reserved parameters.
parse_limit, parse_offset = values.integer_between(1, MAX_LIMIT), values.integer_between(0, MAX_OFFSET)
parse_count, parse_dialect = values.one_of(COUNTS), values.one_of(DIALECTS)

_ATTRIBUTE = re.compile(ATTRIBUTE_PATTERN)
T = TypeVar("T")

QueryPairs = list[tuple[str, str]]
NamesParser = Callable[[str], tuple[str, ...]]
# The fields to sort by, and whether each is descending.
Order = tuple[tuple[str, bool], ...]
# None: `q` has text but no word in it, so no record matches.
Terms = tuple[search_terms.Term, ...] | None


@dataclass(frozen=True)
class Condition:
    """One filter: field, operator and values; `key` is the attribute's key if the field is an object."""

    field: Field
    operator: Operator
    values: tuple[Value, ...]
    key: str | None = None


@dataclass(frozen=True)
class ListQuery:
    """A validated list or export query.

    Its cursors carry `fingerprint` and, if a filter is relative, `relative_to`: the time of the first page.
    """

    resource: Resource
    order: Order
    conditions: tuple[Condition, ...] = ()
    terms: Terms = ()
    limit: int = DEFAULT_LIMIT
    offset: int | None = None
    count: str = "none"
    fields: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    dialect: str = DIALECTS[0]
    cursor: Cursor | None = None
    fingerprint: str = ""
    relative_to: str | None = None

    @property
    def depends_on_now(self) -> bool:
        """Whether the result depends on when it is read: by a relative time, or a computed member."""
        return self.relative_to is not None or any(name in self.resource.computed for name in self.expand)


def parse_query_string(query_string: bytes) -> QueryPairs:
    """Split a query string into names and values; raises `BadRequest` if they are not UTF-8."""
    try:
        return parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        message = "The query string is not UTF-8."
        raise BadRequest(message) from None


def parse_list_query(
    resource: Resource, pairs: QueryPairs, time_context: TimeContext, fingerprint_scope: str = ""
) -> ListQuery:
    """Parse a list's query string; raises a 400, or a 422 that names every fault.

    `fingerprint_scope` distinguishes lists of one resource, such as the histories of two records, so that their cursors
    are not interchangeable.
    """
    return _list_query(QueryParser(resource, pairs, list_parameters(resource)), time_context, fingerprint_scope)


def parse_export_query(
    resource: Resource, pairs: QueryPairs, time_context: TimeContext, *, dialects: bool
) -> ListQuery:
    """Parse the query string of an export: a list without paging, whose fields can be related ones and attributes."""
    parameters = (list_parameters(resource) - PAGING) | ({"dialect"} if dialects else set())
    parse_fields = _names_parser(tuple(resource.single_valued_fields), _is_attribute)
    return _list_query(QueryParser(resource, pairs, parameters, parse_fields), time_context, "")


def parse_selection(resource: Resource, pairs: QueryPairs) -> Selection:
    """Parse `fields` and `expand` for a single record; raises a 422 that names every fault."""
    parser = QueryParser(resource, pairs, SELECTION)
    parser.reject_filters()
    selection = parser.selection()
    parser.raise_faults()
    return selection


def unexpected_parameters(pairs: QueryPairs) -> list[Fault]:
    """Return a fault for each parameter, for endpoints that take none."""
    names = dict.fromkeys(name for name, _ in pairs)
    return [Fault(f"There is no parameter '{name}' here.", "unknown", parameter=name) for name in names]


class QueryParser:
    """Parses a query string and collects its faults; `raise_faults` raises them together.

    `parameters` are the reserved names; every other parameter is a filter.
    """

    def __init__(
        self, resource: Resource, pairs: QueryPairs, parameters: frozenset[str], parse_fields: NamesParser | None = None
    ) -> None:
        self.resource = resource
        self.parameters = parameters
        self._parse_fields = parse_fields
        self._faults: list[Fault] = []
        self.reserved: dict[str, str] = {}
        self.filters: dict[str, list[str]] = {}
        for name, value in pairs:
            if "\0" in value and name != "cursor":
                self.add_fault(name, f"'{name}' contains a NUL character, which is not allowed.")
            elif name not in parameters:
                self.filters.setdefault(name, []).append(value)
            elif name in self.reserved:
                self.add_fault(name, f"'{name}' may be given only once.")
            else:
                self.reserved[name] = value

    def parse_reserved(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Parse a reserved parameter; return the default if it is absent or invalid."""
        text = self.reserved.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except BadValue as error:
            self.add_fault(name, f"'{name}': {error}", error.allowed)
            return default

    def conditions(self, time_context: TimeContext) -> tuple[Condition, ...]:
        """Parse the filters."""
        conditions: list[Condition] = []
        for name, texts in self.filters.items():
            found = self.resource.find_filter(name)
            if found is None:
                self._add_unknown_parameter(name, self._suggested_names(name), _key_rule(self.resource, name))
                continue
            field, operator, key = found
            try:
                conditions += _conditions(field, operator, texts, time_context, key)
            except BadValue as error:
                self.add_fault(name, f"'{name}': {error}", error.allowed)
        return tuple(conditions)

    def terms(self) -> Terms:
        """Parse the search terms of `q`."""
        return self.parse_reserved("q", _parse_terms, ())

    def order(self) -> Order:
        """Parse `sort`, and append the tiebreakers."""
        if "sort" not in self.reserved:
            return _default_order(self.resource)
        return total_order(self.resource, self.parse_reserved("sort", self._parse_sort, _default_order(self.resource)))

    def selection(self) -> Selection:
        """Parse `fields` and `expand`; without `fields`, all own fields are selected."""
        if not self.reserved.keys() & SELECTION:
            return _whole_record(self.resource)
        fields = self.parse_reserved("fields", self._parse_fields or _names_parser(tuple(self.resource.own_fields)), ())
        expand = self.parse_reserved("expand", _names_parser(self.resource.expandable), ())
        return Selection(fields or tuple(self.resource.own_fields), expand)

    def fingerprint(self, scope: str) -> str:
        """Hash the query (filters in any order, search, sort), so that a cursor of another query is rejected."""
        filters = sorted((name, value) for name, given in self.filters.items() for value in given)
        sort = self.reserved.get("sort", self.resource.sort)
        search = self.reserved.get("q", "")
        return cursors.query_fingerprint(self.resource.name, self.resource.tiebreakers, scope, filters, search, sort)

    def cursor(self, fingerprint: str) -> Cursor | None:
        """Decode the cursor; raises `BadCursor`, or `CursorMismatch` if it is of another query."""
        if "cursor" not in self.reserved:
            return None
        cursor = cursors.decode(self.reserved["cursor"])
        if cursor.fingerprint != fingerprint:
            raise CursorMismatch
        return cursor

    def is_relative(self, *bounds: str) -> bool:
        """Whether a filter, or one of these parameters, is relative to the current time (`today`, `-7d`)."""
        return any(values.is_relative(self.reserved.get(name, "")) for name in bounds) or any(
            self.resource.filters[name][0].kind is TIME and any(map(values.is_relative, given))
            for name, given in self.filters.items()
            if name in self.resource.filters
        )

    def reject_filters(self, is_allowed: Callable[[str], bool] = lambda _: False) -> None:
        """Add a fault for each filter but those that are allowed, for endpoints without filters or with few."""
        rejected = [name for name in self.filters if not is_allowed(name)]
        for name in rejected:
            del self.filters[name]
            self._add_unknown_parameter(name, tuple(sorted(self.parameters)))

    def add_fault(self, name: str, message: str, allowed: Iterable[str] = ()) -> None:
        """Add a fault of a parameter."""
        self._faults.append(Fault(message, parameter=name, allowed=tuple(allowed)))

    def raise_faults(self) -> None:
        """Raise a 422 with all faults, if there are any."""
        if self._faults:
            raise invalid(self._faults)

    def _parse_sort(self, text: str) -> Order:
        """Parse the fields to sort by; `-` before a name means descending."""
        order: dict[str, bool] = {}
        for part in text.split(","):
            name = part.removeprefix("-")
            if name not in self.resource.sortable:
                message = f"cannot sort by '{name}': {self._not_sortable(name)}."
                raise BadValue(message + did_you_mean(name, self.resource.sortable), self.resource.sortable)
            if name in order:
                message = f"'{name}' may be given only once."
                raise BadValue(message)
            order[name] = part.startswith("-")
        return tuple(order.items())

    def _not_sortable(self, name: str) -> str:
        if name.startswith(ATTRIBUTE):
            return "lists are not sorted by attributes, which may have any type"
        if name in self.resource.fields:
            return "a record can have several values of it"
        return "there is no such field"

    def _add_unknown_parameter(self, name: str, allowed: tuple[str, ...], rule: str = "") -> None:
        # Searching for a similar name is slow and the list of names is long: only the first faults get suggestions.
        allowed = allowed if len(self._faults) < MAX_SUGGESTIONS else ()
        message = f"There is no parameter '{name}'.{did_you_mean(name, allowed)}{rule}"
        self._faults.append(Fault(message, "unknown", parameter=name, allowed=allowed))

    def _suggested_names(self, name: str) -> tuple[str, ...]:
        """Return the names to suggest for an unknown parameter.

        These are the filters of related records that it means (`machine.sector` for `sector` and `machine__sector`),
        else those of the same field or attribute, else all fields.
        """
        if related := self._related_filters(name):
            return related
        filters, field_name = self.resource.filters, name.partition("__")[0]
        any_key, key = attributes.split_parameter(field_name)
        own_key = key if any_key in filters and attributes.is_valid_key(key) else attributes.ANY_KEY
        same = tuple(
            other.replace(attributes.ANY_KEY, own_key)
            for other, (field, _) in filters.items()
            if field.name == field_name or field.parameter == any_key
        )
        fields = [field.parameter for field, operator in filters.values() if operator is EQUAL]
        return same or (*sorted(self.parameters), *fields)

    def _related_filters(self, name: str) -> tuple[str, ...]:
        """Return the filters that are `name` with a dot for its first `__`, or after the name of a relation."""
        dotted = name.replace("__", ".", 1)
        found = (other for other in self.resource.filters if other == dotted or other.endswith(f".{name}"))
        return tuple(sorted(found, key=lambda other: other.count(".")))


def list_parameters(resource: Resource) -> frozenset[str]:
    """Return the reserved parameters of a list."""
    return PARAMETERS if resource.searched else PARAMETERS - {"q"}


def total_order(resource: Resource, order: Order) -> Order:
    """Append the tiebreakers, in the direction of the last field, so that the order is total."""
    names = [name for name, _ in order]
    if resource.tiebreakers[-1] in names:
        # Fields after a unique one cannot change the order.
        return order[: names.index(resource.tiebreakers[-1]) + 1]
    last = order[-1][1]
    return (*order, *((tie, last) for tie in resource.tiebreakers if tie not in names))


@cache
def _default_order(resource: Resource) -> Order:
    return total_order(resource, ((resource.sort.removeprefix("-"), resource.sort.startswith("-")),))


@cache
def _whole_record(resource: Resource) -> Selection:
    return Selection(tuple(resource.own_fields))


def _list_query(parser: QueryParser, time_context: TimeContext, scope: str) -> ListQuery:
    fingerprint = parser.fingerprint(scope)
    cursor = parser.cursor(fingerprint)
    if cursor is not None and cursor.now is not None:
        time_context = replace(time_context, now=datetime.fromisoformat(cursor.now))
    if cursor is not None and "offset" in parser.reserved:
        parser.add_fault("offset", "'offset' cannot be combined with 'cursor'.")
    conditions, terms, order, selection = (
        parser.conditions(time_context),
        parser.terms(),
        parser.order(),
        parser.selection(),
    )
    limit = parser.parse_reserved("limit", parse_limit, DEFAULT_LIMIT)
    offset = parser.parse_reserved("offset", parse_offset, None)
    count = parser.parse_reserved("count", parse_count, "none")
    dialect = parser.parse_reserved("dialect", parse_dialect, DIALECTS[0])
    parser.raise_faults()
    relative_to = instants.format_instant(time_context.now) if parser.is_relative() else None
    return ListQuery(
        parser.resource,
        order,
        conditions,
        terms,
        limit,
        offset,
        count,
        *selection,
        dialect=dialect,
        cursor=cursor,
        fingerprint=fingerprint,
        relative_to=relative_to,
    )


def _conditions(
    field: Field, operator: Operator, texts: Sequence[str], time_context: TimeContext, key: str | None
) -> list[Condition]:
    """Build the conditions of one parameter.

    Repeated equality (`field=a&field=b`) means OR; any other repeated operator means AND.
    """
    if operator.value_type == "boolean":
        operators = [IS_NULL if values.parse_boolean(text) else IS_NOT_NULL for text in texts]
        return [Condition(field, chosen, (), key) for chosen in operators]
    parsed = [values.parse_values(text, field.kind, operator, time_context) for text in texts]
    if operator is EQUAL:
        return [Condition(field, operator, tuple(dict.fromkeys(value for group in parsed for value in group)), key)]
    return [Condition(field, operator, group, key) for group in parsed]


def _key_rule(resource: Resource, name: str) -> str:
    """Return a space and the rule for attribute keys if the parameter looks like an attribute, else an empty text."""
    paths = [field.name for field in resource.fields.values() if field.kind is OBJECT]
    return f" {attributes.KEY_RULE}" if any(name.startswith(f"{path}.") for path in paths) else ""


def _parse_terms(text: str) -> Terms:
    try:
        return search_terms.parse(text)
    except search_terms.SearchTooLong as error:
        raise BadValue(str(error)) from None


def _is_attribute(name: str) -> bool:
    return _ATTRIBUTE.fullmatch(name) is not None


def _names_parser(allowed: tuple[str, ...], is_also_allowed: Callable[[str], bool] = lambda _: False) -> NamesParser:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        for name in names:
            if name not in allowed and not is_also_allowed(name):
                message = f"Unknown name '{name}'.{did_you_mean(name, allowed)}"
                raise BadValue(message, allowed)
        return names

    return parse
