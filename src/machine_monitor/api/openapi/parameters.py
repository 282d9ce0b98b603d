"""Query parameters in OpenAPI. Only common filters are declared; `filters` takes all the others."""

from collections.abc import Iterable
from typing import Any

from machine_monitor.api.openapi import filters_page
from machine_monitor.database.kinds import OBJECT
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.grouping import groupable_fields
from machine_monitor.query.language.attributes import ANY_KEY
from machine_monitor.query.language.operators import EQUAL, Operator
from machine_monitor.query.language.parser import (
    ATTRIBUTE_PATTERN,
    COUNTS,
    DEFAULT_LIMIT,
    DIALECTS,
    MAX_LIMIT,
    MAX_OFFSET,
    PAGING,
)
from machine_monitor.query.language.summaries import (
    ATTRIBUTE_METRIC_PATTERN,
    DEFAULT_METRIC,
    DEFAULT_VALUES,
    MAX_FACET_VALUES,
    MAX_FACETS,
    MAX_GROUP_FIELDS,
    MAX_METRICS,
)
from machine_monitor.query.language.times import TIME_FILTER_PATTERN
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.query.schema import Field, Resource
from machine_monitor.services.audit.change_feed import DEFAULT_CHANGES, EPOCH_PATTERN, MAX_CHANGES
from machine_monitor.services.projections.reliability.pareto import FIELDS, WEIGHTS
from machine_monitor.services.projections.reliability.request import GROUP_FIELDS
from machine_monitor.services.projections.reports.report import LANGUAGES

# Operators that are declared as parameters beside equality, by kind; all others are on the page of filters.
DECLARED = {"time": ("gte", "lt"), "text": ("contains",), "rank": ("gte",)}
DECLARED_RELATED = ("machine.sector",)
GROUPABLE = "All fields but long texts and times, also related ones such as `machine.usage`, and `attributes.<key>`."
BOOLEAN = {"type": "boolean"}
TEXT = {"type": "string"}
DIALECT = {"type": "string", "enum": list(DIALECTS), "default": DIALECTS[0]}


def list_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of a list."""
    deleted = _parameter("deleted", "List deleted records instead. Requires the supervisor role.", BOOLEAN)
    return [
        *_search(resource),
        *_paging(resource),
        *selection_parameters(resource),
        *([deleted] if resource.soft_delete else []),
        *_filters(resource),
    ]


def changes_parameters() -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of the change feed; the event stream has the first two only."""
    epoch = {"type": "string", "pattern": f"^{EPOCH_PATTERN}$", "examples": ["5f3c9a0d17e2b468"]}
    since = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_CHANGES, "default": DEFAULT_CHANGES}
    machine_id = {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER}
    return [
        _parameter("since", "The number of the last change that you have: the feed continues after it.", since),
        _parameter(
            "epoch", "The `epoch` of the answer whose `next` is in `since`: 410 if the history was replaced.", epoch
        ),
        _parameter("limit", "The maximum number of changes; an answer also ends at 8 MiB.", limit),
        _parameter("machine_id", "Only the machine with this `id`, which may have been deleted or merged.", machine_id),
    ]


def facets_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of facets."""
    by = _parameter(
        "by",
        f"The fields to count by: 1 to {MAX_FACETS} names, separated by commas. {GROUPABLE}",
        _group_names(resource, at_most=MAX_FACETS),
    )
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_FACET_VALUES, "default": DEFAULT_VALUES}
    return [
        {**by, "required": True},
        _parameter("limit", "The maximum number of values per field.", limit),
        *_search(resource),
        *_filters(resource),
    ]


def stats_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of stats."""
    metrics = resource.summary.metrics if resource.summary else {}
    sentences = ", ".join(f"`{metric.name}` ({metric.description})" for metric in metrics.values())
    return [
        _group_by(_group_names(resource, *UNITS, at_most=MAX_GROUP_FIELDS + 1), f" {GROUPABLE}"),
        _parameter(
            "metrics",
            f"Up to {MAX_METRICS} metrics, separated by commas: {sentences}; and over the numbers of an attribute "
            "`sum:attributes.<key>`, `mean:attributes.<key>`, `min:attributes.<key>`, `max:attributes.<key>`.",
            {**_names(metrics, ATTRIBUTE_METRIC_PATTERN, at_most=MAX_METRICS), "default": DEFAULT_METRIC},
        ),
        *_window("Only what happened from this time on: logs by `started_at`, stops cut."),
        *_search(resource),
        *_filters(resource),
    ]


def reliability_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of reliability, whose filters are those of `resource` on machines."""
    declared = [
        parameter for parameter in _filters(resource) if parameter["name"] in ("machine", *DECLARED_RELATED, "filters")
    ]
    return [
        _group_by(_names((*GROUP_FIELDS, *UNITS), at_most=MAX_GROUP_FIELDS + 1)),
        *_window("The start of the window; 90 days before `to` by default."),
        *declared,
    ]


def report_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of a report, whose filters are those of reliability."""
    sentence = "The start of the period. Without `from` and `to` it is the last whole week, from Monday to Sunday."
    filters = [each for each in reliability_parameters(resource) if each["name"] not in ("group_by", "from", "to")]
    language = {"type": "string", "enum": list(LANGUAGES), "default": LANGUAGES[0]}
    return [*_window(sentence), _parameter("language", "The language of the report.", language), *filters]


def pareto_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of the Pareto analysis."""
    one = "|".join([*(name.replace(".", r"\.") for name in FIELDS), ATTRIBUTE_PATTERN])
    by = {"type": "string", "pattern": f"^({one})$", "examples": list(FIELDS[:1])}
    sentence = "What the values weigh: logs and failures by `started_at`, or seconds of downtime."
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_FACET_VALUES, "default": DEFAULT_VALUES}
    return [
        {**_parameter("by", "The field or attribute whose values are compared.", by), "required": True},
        _parameter("weight", sentence, {"type": "string", "enum": list(WEIGHTS), "default": WEIGHTS[0]}),
        *_window("The start of the window; 90 days before `to` by default."),
        _parameter("limit", "The maximum number of values; `rest` sums up the others.", limit),
        *_search(resource),
        *_filters(resource),
    ]


def _group_by(schema: dict[str, Any], more: str = "") -> dict[str, Any]:
    sentence = (
        f"Up to {MAX_GROUP_FIELDS} fields and one of {', '.join(UNITS)}, separated by commas. Default: one group."
    )
    return _parameter("group_by", sentence + more, schema)


def _window(sentence: str) -> list[dict[str, Any]]:
    """Return the parameters `from` and `to`; the sentence is about `from`."""
    schema = {"type": "string", "pattern": TIME_FILTER_PATTERN}
    before = "Only what happened before this time; a day is included."
    return [
        _parameter("from", sentence, {**schema, "examples": ["-90d"]}),
        _parameter("to", before, {**schema, "examples": ["now"]}),
    ]


def export_parameters(resource: Resource, *, dialects: bool) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters of an export: those of a list without paging, and with more fields to choose."""
    fields = _names(resource.single_valued_fields, ATTRIBUTE_PATTERN)
    described = (
        "Only these fields, in this order, separated by commas; also fields of related records, "
        "such as `machine.sector`, and `attributes.<key>`."
    )
    own = [parameter for parameter in list_parameters(resource) if parameter["name"] not in PAGING | {"fields"}]
    dialect = (
        [
            _parameter(
                "dialect",
                "The CSV dialect: `rfc4180` (commas), or `excel` (semicolons and a byte order mark).",
                DIALECT,
            )
        ]
        if dialects
        else []
    )
    return [*dialect, _parameter("fields", described, fields), *own]


def selection_parameters(resource: Resource) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters `fields` and `expand`."""
    chosen = [_parameter("fields", "Only these fields, separated by commas.", _names(resource.own_fields))]
    if resource.expandable:
        chosen.append(
            _parameter(
                "expand",
                "Related records and computed members to add under `expanded`, separated by commas.",
                _names(resource.expandable),
            )
        )
    return chosen


def _search(resource: Resource) -> list[dict[str, Any]]:
    searched = ", ".join(resource.searched)
    return [_parameter("q", f"Full-text search: words that must occur in {searched}.", TEXT)] if searched else []


def _filters(resource: Resource) -> list[dict[str, Any]]:
    declared = [
        _filter(name, known, operator)
        for name, (known, operator) in resource.filters.items()
        if _is_declared(known, operator)
    ]
    sentence = (
        'Any other filters, such as `{"comment__startswith": "oil"}`: each member is sent as a parameter. '
        f"[All fields and operators]({filters_page.address(resource)})"
    )
    others = _parameter("filters", sentence, {"type": "object", "additionalProperties": TEXT})
    # Without the example, Swagger UI would send members of its own.
    return [*declared, {**others, "style": "form", "explode": True, "example": {}}]


def _paging(resource: Resource) -> list[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    offset = {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}
    return [
        _parameter(
            "sort",
            f"Sort fields, separated by commas; `-` before a field sorts it descending. Default `{resource.sort}`.",
            TEXT,
        ),
        _parameter("limit", "The maximum number of records on a page, which also ends at 8 MiB.", limit),
        _parameter("cursor", "Continue from another page of the same list: its `next` or `previous`.", TEXT),
        _parameter("offset", "The number of records to skip; not together with `cursor`.", offset),
        _parameter(
            "count",
            "Whether to count all matching records: `exact`, or `capped` to stop at 10,000.",
            {"type": "string", "enum": list(COUNTS), "default": "none"},
        ),
    ]


def _is_declared(known: Field, operator: Operator) -> bool:
    if known.kind is OBJECT:
        return False
    if "." in known.name:
        return known.name in DECLARED_RELATED and operator is EQUAL
    if operator.name == "isnull":
        return known.nullable
    return operator is EQUAL or operator.name in DECLARED.get(known.kind.name, ())


def _filter(name: str, known: Field, operator: Operator) -> dict[str, Any]:
    sentence = f"{known.description} {operator.description[0].upper()}{operator.description[1:]}."
    if operator.name:
        return _parameter(
            name, sentence, BOOLEAN if operator.value_type == "boolean" else _value_schema(known, operator)
        )
    # A repeated parameter matches any of its values.
    return {
        **_parameter(name, sentence, {"type": "array", "items": _value_schema(known, operator)}),
        "style": "form",
        "explode": True,
    }


def _value_schema(known: Field, operator: Operator) -> dict[str, Any]:
    if operator.value_type == "folded":
        return TEXT
    if known.kind.choices:
        return {"type": "string", "enum": list(known.kind.choices)}
    return {
        "integer": {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        "boolean": BOOLEAN,
        "time": {"type": "string", "pattern": TIME_FILTER_PATTERN, "examples": ["-7d"]},
        "uuid": {"type": "string", "format": "uuid"},
    }.get(known.kind.name, TEXT)


def _names(names: Iterable[str], *patterns: str, at_most: int | None = None) -> dict[str, Any]:
    names = list(names)
    one = "|".join([*[name.replace(".", r"\.") for name in names], *patterns])
    more = "*" if at_most is None else f"{{0,{at_most - 1}}}"
    return {"type": "string", "pattern": f"^({one})(,({one})){more}$", "examples": [",".join(names[:2])]}


def _group_names(resource: Resource, *more: str, at_most: int) -> dict[str, Any]:
    names = [name for name in groupable_fields(resource) if ANY_KEY not in name]
    objects = [name.removesuffix(f"attributes.{ANY_KEY}") for name in groupable_fields(resource) if ANY_KEY in name]
    patterns = [path.replace(".", r"\.") + ATTRIBUTE_PATTERN for path in objects]
    return _names([*names, *more], *patterns, at_most=at_most)


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
