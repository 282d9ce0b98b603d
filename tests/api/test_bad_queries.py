"""Invalid query strings are refused, and each fault names its parameter."""

import pytest

from api.resource_cases import LOGS, create

pytestmark = pytest.mark.asyncio(loop_scope="module")

# An invalid query of the list of logs, and the invalid parameter.
INVALID = [
    *[
        (f"{name}=1", name)
        for name in ("machin", "comment__has", "comment__", "__", "machine.nothing", "machine.", ".name")
    ],
    *[
        (f"{name}=1", name)
        for name in ("started_at__contains", "severity__startswith", "uuid__lt", "uuid__contains", "id")
    ],
    *[
        (f"{name}=1", name)
        for name in ("machine.in_service__gt", "machine.version__contains", "machine_id", "deleted_at")
    ],
    *[
        (f"{name}=1", name)
        for name in ("user.user.role", "machine.name_key", "user.password", "attributes", "attributes__isnull")
    ],
    *[
        (f"{name}=1", name)
        for name in ("Machine", "machine__NE", "machine__ne__ne", "limit__gt", "MACHINE.sector", "page", "seq")
    ],
    ("=1", ""),
    *[
        (f"limit={value}", "limit")
        for value in ("", "0", "-1", "501", "x", "1.5", "1e2", "%201", str(2**63), "9" * 400, "%D9%A3")
    ],
    *[(f"offset={value}", "offset") for value in ("", "-1", "10001", "x", str(2**31), str(2**63), "9" * 400)],
    *[(f"count={value}", "count") for value in ("", "all", "EXACT", "true", "1")],
    *[
        (f"sort={value}", "sort")
        for value in ("", "-", "nothing", "machine,", "machine,,type", "machine,-machine", "attributes")
    ],
    *[
        (f"sort={value}", "sort")
        for value in ("%2Bmachine", "--machine", "machine%20", "Machine", "id", "machine.name_key", "q")
    ],
    *[(f"fields={value}", "fields") for value in ("", "nothing", "uuid,", "machine.sector", "id", "-uuid", "expanded")],
    *[(f"expand={value}", "expand") for value in ("", "nothing", "machine,", "severity", "machine.sector", "activity")],
    *[
        (f"{name}={value}&{name}={value}", name)
        for name, value in (("limit", 5), ("sort", "type"), ("q", "x"), ("count", "none"))
    ],
    *[
        (f"{name}={value}&{name}={value}", name)
        for name, value in (("fields", "uuid"), ("expand", "user"), ("offset", 1))
    ],
    *[(f"severity={value}", "severity") for value in ("", "INFO", "bad", "1", "info,major")],
    *[(f"severity__{operator}=bad", f"severity__{operator}") for operator in ("ne", "lt", "gte", "in", "nin")],
    *[(f"status={value}", "status") for value in ("", "Open", "closed")],
    *[(f"status__{operator}=closed", f"status__{operator}") for operator in ("ne", "lt", "in")],
    *[(f"user.role={value}", "user.role") for value in ("", "boss", "3")],
    *[
        (f"machine.in_service={value}", "machine.in_service")
        for value in ("", "1", "yes", "TRUE", "null", "true,false")
    ],
    *[(f"comment__isnull={value}", "comment__isnull") for value in ("", "1", "null", "True")],
    *[
        (f"version={value}", "version")
        for value in ("", "x", "1.0", "1e3", str(2**53), str(2**63), f"-{2**63}", "9" * 400)
    ],
    *[
        (f"machine.year_of_acquisition__in={value}", "machine.year_of_acquisition__in")
        for value in ("", "1,", f"1,{2**63}")
    ],
    *[(f"uuid={value}", "uuid") for value in ("", "abc", "0" * 32)],
    *[
        (f"started_at={value}", "started_at")
        for value in ("", "soon", "1e12", "0", "2025", "2025-02-30", "2025-07-25T24:00")
    ],
    *[
        (f"started_at__lt={value}", "started_at__lt")
        for value in ("1969-12-31", "2101-01-01", "-9999y", "-999999w", "-7", "7d")
    ],
    ("started_at__gte=0001-01-01T00:00:00%2B14:00", "started_at__gte"),
    ("started_at__gte=9999-12-31T23:59:59-14:00", "started_at__gte"),
    *[
        (f"{name}=a%00b", name)
        for name in ("comment", "q", "machine", "type", "user", "sort", "cursor", "comment__contains")
    ],
    ("comment__in=a%00b", "comment__in"),
    ("a%00b=1", "a\0b"),
    ("type__in=" + ",".join(["x"] * 201), "type__in"),
    ("type__in=%22a", "type__in"),
    ("q=" + "a+" * 33, "q"),
]
SUGGESTED = [
    ("machin=x", "machin", "machine"),
    ("comment__containz=x", "comment__containz", "comment__contains"),
    ("sort=-startedat", "sort", "started_at"),
    ("machine.secter=x", "machine.secter", "machine.sector"),
    ("fields=coment", "fields", "comment"),
    ("expand=machines", "expand", "machine"),
    ("sector=1A", "sector", "machine.sector"),
    ("sector__contains=1", "sector__contains", "machine.sector__contains"),
    ("machine__sector=1A", "machine__sector", "machine.sector"),
    ("sort=sector", "sort", "machine.sector"),
]


@pytest.mark.parametrize(("query", "parameter"), INVALID)
async def test_an_invalid_parameter_is_refused_and_named(seeded, query, parameter):
    response = await seeded.get(f"/logs?{query}")
    assert response.headers["Content-Type"] == "application/problem+json"
    if parameter == "cursor":
        assert response.status_code in (400, 422)
        return
    assert response.status_code == 422, response.text
    assert response.json()["code"] in ("validation", "unknown-parameter")
    assert {error["parameter"] for error in response.json()["errors"]} == {parameter}


@pytest.mark.parametrize(("query", "parameter", "nearest"), SUGGESTED)
async def test_an_unknown_name_gets_a_suggestion(seeded, query, parameter, nearest):
    response = await seeded.get(f"/logs?{query}")
    (error,) = response.json()["errors"]
    assert (response.status_code, error["parameter"]) == (422, parameter)
    assert f"Did you mean '{nearest}'?" in response.json()["detail"]
    assert nearest in error["allowed"]


async def test_all_errors_of_a_query_are_reported_together(seeded):
    query = "machin=x&severity=bad&limit=0&limit=1&sort=nothing&started_at=soon&fields=x&expand=y&count=z&offset=-1"
    response = await seeded.get(f"/logs?{query}&q={'a+' * 33}")
    assert (response.status_code, response.json()["code"]) == (422, "validation")
    parameters = {error["parameter"] for error in response.json()["errors"]}
    assert parameters == {
        "machin",
        "severity",
        "limit",
        "sort",
        "started_at",
        "fields",
        "expand",
        "count",
        "offset",
        "q",
    }


@pytest.mark.parametrize("query", ["x=%FF", "%FF=x", "q=%ED%A0%80", "q=%C0%80", "machine=%E9", "limit=%FF&limit=0"])
async def test_invalid_utf_8_is_a_bad_request(seeded, query):
    key, _ = await create(seeded, LOGS)
    for url in (f"/logs?{query}", f"/machines?{query}", f"/logs/{key}?{query}", f"/logs/{key}/history?{query}"):
        response = await seeded.get(url)
        assert (response.status_code, response.json()["code"]) == (400, "bad-request")
    for response in (await seeded.post(f"/logs?{query}", json={}), await seeded.delete(f"/logs/{key}?{query}")):
        assert response.status_code == 400
    assert (await seeded.get(f"/logs/{key}")).status_code == 200


@pytest.mark.parametrize(
    "query", ["q=x", "limit=5", "sort=uuid", "uuid=x", "count=exact", "fields=x", "expand=x", "x="]
)
async def test_a_single_record_accepts_only_fields_and_expand(seeded, query):
    key, _ = await create(seeded, LOGS)
    # Also for a missing record: errors in the request itself come first.
    for url in (f"/logs/{key}?{query}", f"/logs/{LOGS.new_key()}?{query}", f"/machines/pelle 2?{query}"):
        assert (await seeded.get(url)).status_code == 422


@pytest.mark.parametrize("path", ["/machines", "/log-types", "/users"])
@pytest.mark.parametrize(
    "query", ["machine=x", "started_at=now", "sort=machine", "expand=machine", "fields=uuid", "name__x=1"]
)
async def test_each_list_accepts_only_its_own_fields(seeded, path, query):
    assert (await seeded.get(f"{path}?{query}")).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "comment__contains=" + "%25" * 2000,
        "comment__contains=" + "_" * 7000,
        "q=" + "a" * 7000,
        "q=" + "-" * 7000,
        "q=" + "%22" * 2000,
        "q=%EF%BF%BE%EE%80%80",
        "comment=" + "%F0%9F%9B%A0" * 600,
        "uuid__in=" + ",".join(["00000000-0000-0000-0000-000000000000"] * 200),
        "type__in=" + ",".join(["x"] * 200),
        "&".join(f"comment__ne={number}" for number in range(400)),
        "&".join(f"machine.sector__contains={number}" for number in range(200)),
        "&".join(f"type=t{number}" for number in range(600)),
        "sort="
        + ",".join(
            f"machine.{name},user.{other}" for name, other in (("name", "role"), ("id", "active"), ("model", "trigram"))
        ),
        "q=x&&&&&comment=a=b",
        "comment__contains=%5C%5C%25%5C",
        "q=a%0Ab%09c%0D",
        "comment__in=%22a%0Ab%22",
        "project__gt=%F4%8F%BF%BF",
    ],
)
async def test_unusual_but_valid_queries_succeed(seeded, query):
    response = await seeded.get(f"/logs?limit=1&count=exact&{query}")
    assert response.status_code == 200, response.text[:300]
