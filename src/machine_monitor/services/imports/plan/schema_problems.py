"""Turn what a schema refuses in a row into problems of the report."""

from pydantic import ValidationError

from machine_monitor.database.kinds import CODE
from machine_monitor.models import MACHINES
from machine_monitor.models.log import REQUIRES_STOP
from machine_monitor.query.schema import Resource
from machine_monitor.services.imports.candidates import ATTRIBUTE, Candidate
from machine_monitor.services.imports.report import Level, RowProblem
from machine_monitor.services.records import validation

# The code of the report, by the type of Pydantic's error; `time`, `order` and REQUIRES_STOP are types of our own.
CODES = {
    "missing": "missing",
    "string_too_short": "missing",
    "string_too_long": "too-long",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
    "literal_error": "not-allowed",
    "bool_type": "not-a-boolean",
    "int_type": "not-an-integer",
    "time": "not-a-date",
    "order": "before-start",
    REQUIRES_STOP: "missing",
    "extra_forbidden": "unknown-field",
}


def check_machine_fields(candidate: Candidate) -> list[RowProblem]:
    """Return the problems of what a row says about its machine. A value whose mapping has `bad: null` is emptied."""
    given = {name: value for name, value in candidate.machine_fields.items() if value is not None}
    attributes = {name.removeprefix(ATTRIBUTE): given.pop(name) for name in [*given] if name.startswith(ATTRIBUTE)}
    try:
        MACHINES.create.model_validate({"name": "-", "attributes": attributes, **given})
    except ValidationError as error:
        invalid = problems_of(error, MACHINES, candidate)
    else:
        return []
    problems = []
    for problem in invalid:
        name = f"machine.{problem.field}"
        is_emptied = candidate.bad.get(name) == "null" and problem.field in candidate.machine_fields
        if is_emptied and problem.field is not None:
            candidate.machine_fields[problem.field] = None
        level: Level = "note" if is_emptied else "error"
        message = problem.message.replace(f"'{problem.field}'", f"'{name}'", 1)
        problems.append(RowProblem(name, problem.code, level, candidate.source(name), message))
    return problems


def problems_of(error: ValidationError, resource: Resource, candidate: Candidate) -> list[RowProblem]:
    """Return the problems of a record that its schema refuses."""
    details = error.errors(include_url=False, include_input=True)
    faults = validation.faults(error, resource.create)
    return [
        _problem(dict(detail), fault.message, (fault.pointer or "/").split("/")[1] or None, resource, candidate)
        for detail, fault in zip(details, faults, strict=True)
    ]


def _problem(detail: dict, message: str, name: str | None, resource: Resource, candidate: Candidate) -> RowProblem:
    value = detail["input"]
    is_code = name in resource.own_fields and resource.own_fields[name].kind is CODE
    code = CODES.get(detail["type"], "not-a-code" if is_code else "not-allowed")
    if name is not None and value is None and detail["type"] != "missing":
        code, message = "missing", f"'{name}' is empty."
    if detail["type"] == REQUIRES_STOP:
        name = "down_from"
    shown = candidate.source(name) if name is not None and code != "missing" else None
    if shown is None and isinstance(value, str) and code != "missing":
        shown = value
    return RowProblem(name, code, "error", shown, message)
