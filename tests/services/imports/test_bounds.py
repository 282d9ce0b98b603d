"""`min` and `max` of a mapping, its formats of times, and times that no record can have."""

import pytest

from machine_monitor.errors import Invalid
from machine_monitor.models import LOGS, MACHINES
from services.imports.lines import AT, errors_of
from services.legacy.cases import counts, read_all
from services.tabular.files import PARIS, UUID

FIELDS = {"machine": "m", "type": {"const": "info"}, "started_at": {"const": AT}}
TABLE = "m,v\nSaw,{}\n"


def imported(import_table, cell, name="attributes.v", **rule):
    return import_table(TABLE.format(cell), {"fields": FIELDS | {name: {"column": "v", **rule}}})


@pytest.mark.parametrize(
    ("name", "rule", "message"),
    [
        ("started_at", {"min": "soon"}, "not a time in ISO 8601"),
        ("started_at", {"max": 5}, "must be a time"),
        ("started_at", {"min": "9999-12-31"}, "between 1970 and 2100"),
        ("attributes.v", {"dates": ["dmy"], "max": "31/12/2024"}, "not a time in ISO 8601"),
        ("attributes.v", {"as": "number", "min": "low"}, "must be a number"),
        ("attributes.v", {"as": "integer", "max": "2024-01-01"}, "must be a number"),
        ("attributes.v", {"as": "boolean", "max": 1}, "for numbers and times"),
        ("attributes.v", {"min": 1}, "for numbers and times"),
        ("comment", {"as": "code", "min": 1}, "for numbers and times"),
    ],
)
def test_a_bound_that_does_not_fit_its_field_is_a_fault_of_the_mapping(target, import_table, name, rule, message):
    with pytest.raises(Invalid) as raised:
        imported(import_table, "1", name, **rule)
    word = "min" if "min" in rule else "max"
    assert [(each.pointer, message in each.message) for each in raised.value.faults] == [
        (f"/fields/{name}/{word}", True)
    ]
    assert read_all(target, MACHINES) == {}


@pytest.mark.parametrize(
    ("rule", "cell", "message"),
    [
        ({"as": "number", "max": 5}, "5.5", "at most 5"),
        ({"as": "number", "min": 5}, "4.5", "at least 5"),
        ({"as": "integer", "min": 0, "max": 5}, "6", "between 0 and 5"),
        ({"dates": ["dmy"], "min": "2024-01-01"}, "31/12/2023", "at least 2024-01-01"),
        ({"start_plus": "v", "column": None, "max": "2025-01-01"}, "1h", "at most 2025-01-01"),
    ],
)
def test_a_value_beyond_a_bound_is_refused_with_the_bounds_in_words(import_table, rule, cell, message):
    rule = {"column": "v"} | rule
    rule = {word: value for word, value in rule.items() if value is not None}
    mapping = {"fields": FIELDS | {"attributes.v": rule}}
    report = import_table(TABLE.format(cell), mapping)
    (problem,) = [each for each in report["problems"] if each["level"] == "error"]
    assert (problem["field"], problem["code"], problem["value"]) == ("attributes.v", "out-of-range", cell)
    assert problem["message"] == f"The value must be {message}."


def test_bounds_hold_for_numbers_in_text_fields_and_let_rows_without_a_start_pass_to_their_own_problem(import_table):
    report = imported(import_table, "12", "project", **{"as": "number", "max": 5})
    assert [each[1:4] for each in errors_of(report)] == [("project", "error", "out-of-range")]
    fields = FIELDS | {"started_at": "v", "down_to": {"start_plus": "m", "max": "2030-01-01"}}
    report = import_table("m,v\n1h,\n", {"fields": fields})
    assert [each[1:4] for each in errors_of(report)] == [("started_at", "error", "missing")]


@pytest.mark.parametrize("name", ["%d %d", "%q", "%", "%G-%m-%d", "%V", "%e %Y", "%Y\0%m"])
def test_a_format_that_reads_no_time_is_a_fault_of_the_mapping(import_table, name):
    with pytest.raises(Invalid) as raised:
        imported(import_table, "1", dates=[name])
    assert [(each.pointer, "is no format" in each.message) for each in raised.value.faults] == [
        ("/fields/attributes.v", True)
    ]


@pytest.mark.parametrize(
    "name", ["%d %b %Y %I:%M %p", "%Y%m%d", "%G-W%V-%u", "%d/%m/%y %H:%M:%S.%f", "%Y-%m-%dT%H:%M%z"]
)
def test_formats_of_strptime_are_taken(import_table, name):
    assert imported(import_table, "x", dates=[name], bad="keep")["logs"] == counts(created=1)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1969-12-31", "2101-01-02"])
def test_a_day_that_no_record_can_have_is_out_of_range_in_a_table_of_ours(target, import_text, day):
    report = import_text("x.csv", f"uuid,machine,type,started_at\n{UUID.format(1)},Saw,info,{day}\n", zone=PARIS)
    assert (report["logs"], read_all(target, LOGS)) == (counts(rejected=1), {})
    assert errors_of(report) == [([2], "started_at", "error", "out-of-range", day)]
