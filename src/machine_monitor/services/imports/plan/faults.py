"""Report codes for what a schema refuses."""

from pydantic import ValidationError

from machine_monitor.query.schema import Resource
from machine_monitor.services.imports.candidates import Candidate
from machine_monitor.services.imports.report import RowProblem
from machine_monitor.services.records import validation

# The code of the report, by the type of Pydantic's error or by the code of a validator of ours.
CODES = {
    "missing": "missing",
    "string_too_short": "missing",
    "string_too_long": "too-long",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
    "literal_error": "not-allowed",
    "bool_type": "not-a-boolean",
    "int_type": "not-an-integer",
    "int_from_float": "not-an-integer",
    "float_type": "not-a-number",
    "time": "not-a-date",
    "order": "before-start",
    "extra_forbidden": "unknown-field",
}
# By the kind of the field, where a pattern or a type is not met.
KIND_CODES = {"code": "not-a-code", "time": "not-a-date", "boolean": "not-a-boolean", "integer": "not-an-integer"}
REQUIRES_DOWN_FROM = "requires 'down_from'"


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
    kind = resource.own_fields[name].kind.name if name in resource.own_fields else ""
    code = CODES.get(detail["type"]) or KIND_CODES.get(kind, "not-allowed")
    if name is not None and value is None and detail["type"] != "missing":
        code, message = "missing", f"'{name}' is empty."
    if REQUIRES_DOWN_FROM in message:
        name, code = "down_from", "missing"
    shown = candidate.source(name) if name is not None and code != "missing" else None
    if shown is None and isinstance(value, str) and code != "missing":
        shown = value
    return RowProblem(name, code, "error", shown, message)
