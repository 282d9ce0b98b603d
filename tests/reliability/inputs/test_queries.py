"""Hostile query strings: none causes a server error, and each invalid one gets a problem."""

from collections import Counter
from itertools import product
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query import samples
from query.conftest import seeded, seeded_url
from query.test_brute_force import LOG_FIELDS, MACHINE_FIELDS, TEXTUAL

__all__ = ["seeded", "seeded_url"]
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.proof("fuzzed query strings: a list of hostile values, and Hypothesis"),
]
AT_ONCE = 10
ONE = samples.uuid_of(1)
PATHS = (
    *("/logs", "/machines", "/users", "/log-types", "/changes", "/logs/facets", "/logs/stats", "/logs.csv"),
    *("/logs/pareto", "/reliability"),
    *("/machines.ndjson", "/logs.xlsx", f"/logs/{ONE}", f"/logs/{ONE}/history", "/machines/pelle 2", "/me", "/healthz"),
)
OWN = ("q", "sort", "limit", "cursor", "offset", "count", "fields", "expand", "deleted", "since", "dialect")
COUNTED = ("by", "group_by", "metrics", "weight", "from", "to")
FIELDS = sorted({*LOG_FIELDS, *MACHINE_FIELDS, "id", "expanded", "deleted_at", "machine_id", "attributes", "seq"})
HOSTILE_VALUES = (
    *("", " ", "\0", "\t", "\r\n", "\x7f", "\u202e", "\ufeff", "\ufffe", "\U0010ffff", "\ud800", "e\u0301", "ﬃ", "İ"),
    *(
        "'",
        '"',
        '""',
        '"a',
        "a,b",
        '"a""b",',
        ",",
        ",,",
        "\\",
        "%",
        "%25",
        "_",
        "*",
        "**",
        "-",
        "--",
        "-*",
        "(",
        "[a-z]",
    ),
    *("';--", "' OR 1=1 --", '"; DROP TABLE logs; --', "$1", ":name", "?", "{}", "{0}", "%s", "%(x)s", "${x}", "<b>"),
    *(
        "AND",
        "OR NOT",
        "NEAR(a b)",
        "a:b",
        "^a",
        "a+b",
        "null",
        "None",
        "true",
        "TRUE",
        "NaN",
        "Infinity",
        "-0",
        "1e400",
    ),
    *(
        "0",
        "-1",
        "1",
        "501",
        "10001",
        "2147483648",
        "9007199254740992",
        "9223372036854775808",
        "9" * 400,
        "0x10",
        "1_0",
    ),
    *(
        "²",
        "٣",
        "1.",
        ".5",
        "1e3",
        "+1",
        "2025",
        "2025-02-30",
        "2025-07-25",
        "0000-00-00",
        "9999-12-31",
        "24:00",
        "now",
    ),
    *("-1y", "-99999999999y", "-0d", "today", "2025-07-25T13:18:60Z", "2025-07-25T13:18:25+99:99", "1969-12-31T23:59Z"),
    *("2100-12-31T23:59:59.9999999-23:59", "00000000-0000-0000-0000-000000000000", "../..", "/etc/passwd", "a" * 3000),
    *("a " * 40, "é" * 700, "🛠" * 300, "-started_at,-started_at", "machine,type,user,severity,status,project", "uuid"),
    *(
        "machine.sector",
        "attributes.temp",
        "attributes.",
        "machine.machine.name",
        "month",
        "day,week",
        "count,failures",
    ),
    *("eyJ", "AAAA", "====", "____", "machine,user", "activity", "exact", "capped", "excel"),
)


def percent_encode(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


NAMES = st.sampled_from(FIELDS) | st.sampled_from(FIELDS).flatmap(
    lambda name: st.sampled_from(TEXTUAL).map(lambda operator: f"{name}__{operator}")
)
PARTS = st.one_of(
    st.sampled_from(HOSTILE_VALUES).map(percent_encode),
    st.sampled_from(FIELDS).map(percent_encode),
    st.text(max_size=20).map(percent_encode),
    st.binary(max_size=8).map(lambda part: quote(part, safe="")),
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#"), max_size=20),
)
PAIRS = st.tuples(NAMES.map(percent_encode) | st.sampled_from(OWN + COUNTED) | PARTS, PARTS).map("=".join)
QUERIES = st.lists(PAIRS | PARTS, min_size=1, max_size=5).map("&".join)


async def checked_status(client, path, query):
    """Send a GET; assert that it succeeds or gets a well-formed client error, and return the status."""
    response = await client.get(f"{path}?{query}")
    assert response.status_code in (200, 400, 401, 404, 414, 422), (path, query, response.text)
    if response.status_code != 200:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    return response.status_code


async def test_hostile_values_of_any_parameter_never_cause_a_server_error(seeded, extent, record_counts):
    names = (*OWN, *COUNTED, *FIELDS, *(f"{name}__{operator}" for name in FIELDS for operator in TEXTUAL if operator))
    chosen = names[:: extent(short=60, long=5)]
    requests = [(PATHS[number % len(PATHS)], *pair) for number, pair in enumerate(product(chosen, HOSTILE_VALUES))]
    statuses = Counter(
        [await checked_status(seeded, path, f"{name}={percent_encode(value)}") for path, name, value in requests]
    )
    record_counts(statuses.total(), status_5xx=0, status_200=statuses[200], refused=statuses.total() - statuses[200])


@given(queries=st.lists(st.tuples(st.sampled_from(PATHS), QUERIES), min_size=AT_ONCE, max_size=AT_ONCE))
async def test_random_query_strings_never_cause_a_server_error(seeded, record_counts, queries):
    statuses = Counter([await checked_status(seeded, path, query) for path, query in queries])
    record_counts(statuses.total(), status_5xx=0, status_200=statuses[200], refused=statuses.total() - statuses[200])
