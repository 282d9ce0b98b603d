"""The page of all filters: each resource's fields with their operators, too many for the OpenAPI document."""

from collections.abc import Iterator
from functools import cache
from html import escape

from machine_monitor.database.kinds import OBJECT
from machine_monitor.query.language.operators import OPERATORS
from machine_monitor.query.schema import Field, Resource

PATH = "/docs/filters"
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8886}"
    "td{vertical-align:top}code{overflow-wrap:anywhere}"
)
INTRODUCTION = (
    "<code>field=value</code> is equality: repeat it to match any of several values. Other comparisons are "
    "<code>field__operator=value</code>. All filters must match. Every field can be sorted by, except attributes."
)
ATTRIBUTES = (
    "<code>attributes.&lt;key&gt;</code> takes any key. A record without the key counts as null. A JSON number matches "
    "numbers, and texts that are numbers; <code>true</code> and <code>false</code> match booleans; "
    '<code>"80"</code> in double quotes, and any other value, match texts. <code>contains</code>, '
    "<code>startswith</code> and <code>endswith</code> always compare texts."
)


def address(resource: Resource) -> str:
    """Return the address of the table of a resource, relative to the pages that show the document."""
    return f"{PATH[1:]}#{resource.name}"


@cache
def render(resources: tuple[Resource, ...]) -> str:
    """Return the page of these resources, as HTML."""
    links = ", ".join(f'<a href="#{resource.name}">{_title(resource)}</a>' for resource in resources)
    operators = "".join(
        f"<tr><td><code>{operator.name}</code></td><td>{escape(operator.description)}</td></tr>"
        for operator in OPERATORS.values()
        if operator.name
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Filters · Machine Monitor</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><main>'
        f"<h1>Filters</h1><p>{INTRODUCTION}</p>"
        f"<p>{ATTRIBUTES}</p><p>Tables: {links}.</p>{''.join(map(_table, resources))}"
        f"<h2>Operators</h2><table>{operators}</table></main></html>"
    )


def _title(resource: Resource) -> str:
    return resource.name.replace("_", " ").capitalize()


def _table(resource: Resource) -> str:
    return (
        f'<h2 id="{resource.name}">{_title(resource)}</h2>'
        f"<table><tr><th>Field</th><th>Kind</th><th>Operators</th></tr>{''.join(_rows(resource))}</table>"
    )


def _rows(resource: Resource) -> Iterator[str]:
    operators: dict[Field, list[str]] = {}
    for field, operator in resource.filters.values():
        operators.setdefault(field, []).extend([operator.name] if operator.name else [])
    for field, names in operators.items():
        codes = " ".join(f"<code>{name}</code>" for name in names)
        yield f"<tr><td><code>{escape(field.parameter)}</code></td><td>{_kind(field)}</td><td>{codes}</td></tr>"


def _kind(field: Field) -> str:
    if field.kind is OBJECT:
        return "number, text, boolean"
    between = " &lt; " if field.kind.name == "rank" else ", "
    values = f" ({between.join(field.kind.choices)})" if field.kind.choices else ""
    return field.kind.name + values
