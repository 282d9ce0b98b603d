"""Parsing of filter values by kind and operator."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine_monitor.database.kinds import BOOLEAN, CODE, INTEGER, OBJECT, TEXT, TIME, UUID, rank
from machine_monitor.query.language import attributes, values
from machine_monitor.query.language.attributes import AttributeOperand
from machine_monitor.query.language.operators import OPERATORS
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.language.values import BadValue

TIME_CONTEXT = TimeContext(ZoneInfo("Europe/Paris"), datetime(2025, 3, 31, 10, 30, tzinfo=UTC))
LEVEL = rank("low", "high")
# The number 80 as `attributes.sortable_hex` stores it.
EIGHTY = "c054000000000000"
# Kind, operator, text in the query string, parsed values. An `AttributeOperand` starts with its representation:
# `n` number, `t` text, `b` boolean, `f` folded text.
VALID = [
    (TEXT, "", "", ("",)),
    (TEXT, "", "a,b", ("a,b",)),
    (TEXT, "in", "a,b", ("a", "b")),
    (TEXT, "in", "", ("",)),
    (TEXT, "in", "a,", ("a", "")),
    (TEXT, "in", '"a,b",c', ("a,b", "c")),
    (TEXT, "in", '"say ""hi""",c', ('say "hi"', "c")),
    (TEXT, "in", '"a\nb"', ("a\nb",)),
    (TEXT, "in", '""', ("",)),
    (TEXT, "in", " a , b ", (" a ", " b ")),
    (TEXT, "nin", ",".join(["x"] * 200), ("x",) * 200),
    (TEXT, "contains", "50%_\\É", ("%50\\%\\_\\\\e%",)),
    (TEXT, "startswith", "É", ("e%",)),
    (TEXT, "endswith", "É", ("%e",)),
    (CODE, "", "", ("",)),
    (INTEGER, "", "0", (0,)),
    (INTEGER, "", "-5", (-5,)),
    (INTEGER, "", str(2**53 - 1), (2**53 - 1,)),
    (INTEGER, "", str(1 - 2**53), (1 - 2**53,)),
    (INTEGER, "in", "1,2", (1, 2)),
    (BOOLEAN, "", "true", (True,)),
    (BOOLEAN, "in", "true,false", (True, False)),
    (LEVEL, "gte", "high", ("high",)),
    (UUID, "", "0190AAAA-0000-7000-8000-000000000000", ("0190aaaa-0000-7000-8000-000000000000",)),
    (OBJECT, "", "80", (AttributeOperand("n", EIGHTY),)),
    (OBJECT, "", '"80"', (AttributeOperand("t", "80"),)),
    (OBJECT, "", '"', (AttributeOperand("t", '"'),)),
    (OBJECT, "", '""', (AttributeOperand("t", ""),)),
    (OBJECT, "", '"a"b"', (AttributeOperand("t", 'a"b'),)),
    (OBJECT, "", "true", (AttributeOperand("b", "true"),)),
    (OBJECT, "lt", '"true"', (AttributeOperand("t", "true"),)),
    (
        OBJECT,
        "in",
        '8e1,abc,"""80""",',
        (
            AttributeOperand("n", EIGHTY),
            AttributeOperand("t", "abc"),
            AttributeOperand("t", "80"),
            AttributeOperand("t", ""),
        ),
    ),
    (OBJECT, "in", '"80",false', (AttributeOperand("n", EIGHTY), AttributeOperand("b", "false"))),
    (OBJECT, "contains", "80", (AttributeOperand("f", "%80%"),)),
    (OBJECT, "startswith", '"É', (AttributeOperand("f", '"e%'),)),
    (TIME, "", "2025-07-25", (("2025-07-24T22:00:00Z", "2025-07-25T22:00:00Z"),)),
    (TIME, "in", "now,2025-07-25T00:00Z", ("2025-03-31T10:30:00Z", "2025-07-25T00:00:00Z")),
]
# Kind, operator, text in the query string.
INVALID = [
    (TEXT, "in", '"a'),
    (TEXT, "in", '"a"b,c'),
    (TEXT, "in", ",".join(["x"] * 201)),
    *[
        (INTEGER, "", text)
        for text in (
            "",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x10",
            "1_000",
            "٣",
            "abc",
            "true",
            "--1",
            str(2**53),
            str(2**63),
            "9" * 400,
        )
    ],
    (INTEGER, "in", ""),
    (INTEGER, "in", "1,,2"),
    *[(BOOLEAN, "", text) for text in ("", "1", "0", "True", "yes", "null")],
    *[(LEVEL, "gte", text) for text in ("", "High", "0", "medium")],
    *[
        (UUID, "", text)
        for text in ("", "abc", "0190aaaa000070008000000000000000", "{0190aaaa-0000-7000-8000-000000000000}", "g" * 36)
    ],
    *[(TIME, "", text) for text in ("", "soon", "2025-02-30", "1e12", "0001-01-01T00:00:00+14:00")],
    (TIME, "in", "now,"),
    *[(OBJECT, operator, "true") for operator in ("lt", "lte", "gt", "gte")],
    *[(OBJECT, "", text) for text in ("1e999", "-1e309", "9" * 400)],
    (OBJECT, "nin", "1,1e999"),
]


@pytest.mark.parametrize(("kind", "operator", "text", "expected"), VALID)
def test_a_valid_value_is_parsed_according_to_its_kind(kind, operator, text, expected):
    assert values.parse_values(text, kind, OPERATORS[operator], TIME_CONTEXT) == expected


@pytest.mark.parametrize(("kind", "operator", "text"), INVALID)
def test_an_invalid_value_is_refused(kind, operator, text):
    with pytest.raises(BadValue):
        values.parse_values(text, kind, OPERATORS[operator], TIME_CONTEXT)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_the_stored_text_of_a_number_sorts_like_the_number(one, other):
    texts = attributes.sortable_hex(one), attributes.sortable_hex(other)
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
