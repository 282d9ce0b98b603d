"""Helpers for tests of imports: logs as lines of NDJSON, and the problems of a report."""

import json

from services.tabular.files import UUID

BOM = "\ufeff"
AT = "2025-01-01T00:00:00Z"


def lines(*found):
    return "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in found)


def log(number, **members):
    return {"uuid": UUID.format(number), "machine": "Saw", "type": "info", "started_at": AT, **members}


def problems_of(report):
    return [(each["rows"], each["field"], each["level"], each["code"], each["value"]) for each in report["problems"]]


def errors_of(report):
    return [each for each in problems_of(report) if each[2] == "error"]
