"""Invalid requests for facets and stats."""

import pytest

LONG_TEXTS_AND_TIMES = ("comment", "cause", "action", "machine.comment", "started_at", "down_to", "machine.created_at")
WITHOUT_ONE_VALUE = ("attachments", "attachments.name", "attributes", "attributes.", "attributes.a.b")
FIELDS = ("", "no", "type,", "type,type", "Type", *LONG_TEXTS_AND_TIMES, *WITHOUT_ONE_VALUE, "attributes.a__b")
# A query and its invalid parameter.
FACETS = [
    ("", "by"),
    *[(f"by={value}", "by") for value in (*FIELDS, "month")],
    ("by=machine,type,severity,status,user,project", "by"),
    ("by=type&by=user", "by"),
    ("by=type&q=%00", "q"),
    *[(f"by=type&limit={value}", "limit") for value in ("", "0", "501", "x", "1.5")],
    *[
        (f"by=type&{name}={value}", name)
        for name, value in (
            ("sort", "type"),
            ("cursor", "x"),
            ("fields", "uuid"),
            ("count", "exact"),
            ("offset", "1"),
            ("expand", "machine"),
            ("group_by", "type"),
            ("metrics", "count"),
            ("machin", "x"),
            ("severity", "bad"),
            ("started_at", "soon"),
        )
    ],
    ("by=type&q=" + "+".join("a" * 33), "q"),
]
STATS = [
    *[(f"group_by={value}", "group_by") for value in (*FIELDS, "hour", "day,month", "week,week")],
    ("group_by=machine,type,user,project", "group_by"),
    ("group_by=machine,type,user,day,month", "group_by"),
    ("group_by=type&group_by=user", "group_by"),
    ("group_by=%00", "group_by"),
    *[(f"metrics={value}", "metrics") for value in ("", "no", "count,", "count,count", "Count")],
    *[
        (f"{name}={value}", name)
        for name, value in (
            ("sort", "type"),
            ("cursor", "x"),
            ("fields", "uuid"),
            ("count", "exact"),
            ("offset", "1"),
            ("limit", "5"),
            ("expand", "machine"),
            ("by", "type"),
            ("status", "bad"),
        )
    ],
]


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [("facets", *row) for row in FACETS] + [("stats", *row) for row in STATS],
)
async def test_an_invalid_aggregation_is_refused_and_named(seeded, path, query, parameter):
    response = await seeded.get(f"/logs/{path}?{query}")
    assert response.status_code == 422
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


test_an_invalid_aggregation_is_refused_and_named = pytest.mark.asyncio(loop_scope="module")(
    test_an_invalid_aggregation_is_refused_and_named
)


@pytest.mark.asyncio(loop_scope="module")
async def test_all_errors_are_reported_together_with_suggestions(seeded):
    response = await seeded.get("/logs/facets?by=typ&limit=0&machin=x")
    errors = {error["parameter"]: error for error in response.json()["errors"]}
    assert errors.keys() == {"by", "limit", "machin"}
    assert "'type'" in errors["by"]["message"]
    assert "'machine'" in errors["machin"]["message"]
    assert "by" in errors["machin"]["allowed"]
    assert "sort" not in errors["machin"]["allowed"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/logs/facets", "/logs/stats"])
async def test_only_get_and_head_are_allowed(seeded, path):
    assert (await seeded.head(f"{path}?by=type" if path.endswith("facets") else path)).status_code == 200
    response = await seeded.post(path, json={})
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
