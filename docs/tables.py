"""Writes the tables of docs/reference from the code: `make openapi` runs it, and a test holds them fresh.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from typer.main import get_command

from machine_monitor.api.app import create_app
from machine_monitor.api.route import Route
from machine_monitor.api.serving import metrics
from machine_monitor.cli.main import app as commands
from machine_monitor.config import Settings
from machine_monitor.errors import PROBLEMS
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, TOKENS, USERS
from machine_monitor.query.language.operators import OPERATORS
from machine_monitor.query.schema import Resource
from machine_monitor.services.imports.mapping import TableMapping

REFERENCE = Path(__file__).resolve().parent / "reference"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
Rows = Iterable[Sequence[str]]


def table(*header: str) -> Callable[[Callable[[], Rows]], Callable[[], str]]:
    """Make a Markdown table of the rows of a function."""

    def made(rows: Callable[[], Rows]) -> Callable[[], str]:
        def render() -> str:
            lines = [header, ["---"] * len(header), *rows()]
            return "".join(f"| {' | '.join(line)} |\n" for line in lines)

        return render

    return made


@table("setting", "default", "meaning")
def settings() -> Iterator[Sequence[str]]:
    """Every environment variable."""
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, list) else str(field.default)
        default = default.lower() if isinstance(field.default, bool) else default
        yield f"`MM_{name.upper()}`", f"`{default}`" if default else "", field.description or ""


@table("operator", "the field", "kinds")
def operators() -> Iterator[Sequence[str]]:
    """Every operator of a filter."""
    for operator in OPERATORS.values():
        name = f"`field__{operator.name}=value`" if operator.name else "`field=value`"
        yield name, operator.description, ", ".join(sorted(operator.kinds))


@table("status", "code", "title", "what to do")
def problems() -> Iterator[Sequence[str]]:
    """Every problem of the API."""
    for code, problem in PROBLEMS.items():
        yield str(problem.status), f"`{code}`", problem.title, problem.explanation


@table("metric", "type", "labels", "meaning")
def prometheus() -> Iterator[Sequence[str]]:
    """Every metric."""
    collectors = {id(found): found for found in metrics.REGISTRY._names_to_collectors.values()}  # noqa: SLF001 -- labels are not public
    for found in collectors.values():
        (family,) = found.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in found._labelnames)  # noqa: SLF001 -- the same
        yield f"`{name}`", family.type, labels, family.documentation


@table("command", "what it does", "options")
def command_line() -> Iterator[Sequence[str]]:
    """Every command and its options."""
    for name, command in get_command(commands).commands.items():  # ty: ignore[unresolved-attribute] -- a group of commands
        below = getattr(command, "commands", None)
        for words, one in ((name, command),) if below is None else ((f"{name} {sub}", below[sub]) for sub in below):
            options = [option.opts[0] for option in one.params if option.opts[0].startswith("--")]
            arguments = [part.human_readable_name.upper() for part in one.params if not part.opts[0].startswith("-")]
            sentence = " ".join((one.help or "").split("\n\n")[0].split())
            yield f"`{' '.join(['mm', words, *arguments])}`", sentence, ", ".join(f"`{option}`" for option in options)


@table("operation", "role", "scope of a token")
def permissions() -> Iterator[Sequence[str]]:
    """Every operation of the API, with what it requires."""
    routes = [route for route in create_app(Settings.model_construct()).routes if isinstance(route, Route)]
    for route in sorted(routes, key=lambda route: route.path):
        action = route.action
        role = "open to all" if action.role is None else f"`{action.role.name.lower()}`"
        scope = "" if action.role is None else f"`{action.scope.name.lower()}`"
        yield f"`{' '.join(sorted(route.methods))} {route.path}`", role, scope


def fields(resource: Resource) -> Callable[[], str]:
    """Make the table of a resource's fields."""

    @table("field", "kind", "null", "set by", "meaning")
    def rows() -> Iterator[Sequence[str]]:
        for name, field in resource.own_fields.items():
            kind = field.kind.name
            if field.kind.choices:
                signs = " < " if kind == "rank" else ", "
                kind = f"{kind}: {signs.join(f'`{choice}`' for choice in field.kind.choices)}"
            setter = "the service" if name in resource.read_only else "you"
            yield f"`{name}`", kind, "yes" if field.nullable else "", setter, field.description

    return rows


TABLES = {
    "settings": settings,
    "operators": operators,
    "problems": problems,
    "metrics": prometheus,
    "commands": command_line,
    "permissions": permissions,
    **{resource.name: fields(resource) for resource in (LOGS, MACHINES, LOG_TYPES, USERS, TOKENS)},
}


def refreshed(page: str) -> str:
    """The text of a page with its tables as the code has them."""
    return TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", page)


def mapping_schema() -> str:
    """The JSON Schema of the mapping of `mm import`."""
    return json.dumps(TableMapping.model_json_schema(by_alias=True), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    (REFERENCE / "mapping.schema.json").write_text(mapping_schema())
    for path in sorted(REFERENCE.glob("*.md")):
        path.write_text(refreshed(path.read_text()))
