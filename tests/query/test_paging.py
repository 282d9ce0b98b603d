"""Paging by cursor and by offset."""

import pytest

from machine_monitor.api import deps
from query import oracle

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def page(client, **parameters) -> dict:
    answer = await client.get("/logs", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def keys(items) -> list[str]:
    return [item["uuid"] for item in items]


FILTERED = {"sort": "-severity,machine", "limit": "3", "status__in": "open,done", "type__ne": "error", "q": "-nothing"}


@pytest.mark.parametrize(
    "changed",
    [
        {"limit": "1"},
        {"limit": "500"},
        {"fields": "uuid"},
        {"fields": "comment,uuid", "expand": "machine"},
        {"count": "exact"},
        {"count": "capped"},
    ],
)
async def test_parameters_that_do_not_affect_the_order_may_change_between_pages(seeded, changed):
    everything = keys((await page(seeded, **FILTERED | {"limit": "500"}))["items"])
    first = await page(seeded, **FILTERED)
    answer = await seeded.get("/logs", params={**FILTERED, "fields": "uuid", **changed, "cursor": first["next"]})
    assert answer.status_code == 200, answer.text
    limit = int(changed.get("limit", 3))
    assert keys(answer.json()["items"]) == everything[3 : 3 + limit]
    assert answer.json()["total"] == (len(everything) if "count" in changed else None)


async def test_the_order_of_filters_does_not_matter(seeded):
    first = await page(seeded, **FILTERED)
    turned = dict(reversed(FILTERED.items())) | {"cursor": first["next"]}
    assert (await seeded.get("/logs", params=turned)).status_code == 200


@pytest.mark.parametrize(
    ("path", "changed", "code"),
    [
        ("/logs", {"sort": "severity,machine"}, "cursor-mismatch"),
        ("/logs", {"sort": "-severity"}, "cursor-mismatch"),
        ("/logs", {"sort": None}, "cursor-mismatch"),
        ("/logs", {"status__in": "open"}, "cursor-mismatch"),
        ("/logs", {"status__in": None}, "cursor-mismatch"),
        ("/logs", {"machine": "Écluse"}, "cursor-mismatch"),
        ("/logs", {"type": ["error", "info"]}, "cursor-mismatch"),
        ("/logs", {"q": "nothing"}, "cursor-mismatch"),
        ("/logs", {"q": None}, "cursor-mismatch"),
        ("/machines", dict.fromkeys(FILTERED), "cursor-mismatch"),
        ("/logs", {"offset": "0"}, "validation"),
    ],
)
async def test_a_cursor_belongs_to_its_filters_and_its_sort(seeded, path, changed, code):
    first = await page(seeded, **FILTERED)
    parameters = {name: value for name, value in (FILTERED | changed).items() if value is not None}
    answer = await seeded.get(path, params={**parameters, "cursor": first["next"]})
    assert (answer.status_code, answer.json()["code"]) == (422 if code == "validation" else 400, code)


@pytest.mark.parametrize(
    "parameters",
    [
        {"started_at__lte": "now"},
        {"started_at__gte": "-2d"},
        {"started_at__lt": "yesterday"},
        {"started_at__in": "2025-01-01,today"},
        {"started_at__in": '"today",2025-01-01'},
        {"machine.created_at__lte": "now"},
    ],
)
async def test_relative_times_refer_to_the_first_page(seeded, monkeypatch, parameters):
    async def now_is(text):
        monkeypatch.setattr(deps.instants, "now", lambda: oracle.parse_instant(text))
        answer = await seeded.get("/logs", params={**parameters, "limit": 1, "fields": "uuid", **cursor})
        assert answer.status_code == 200, answer.text
        return answer.json()

    cursor = {"count": "exact"}
    first = await now_is(
        "2025-01-02T00:00:00Z" if "machine.created_at__lte" not in parameters else "2100-01-01T00:00:00Z"
    )
    cursor["cursor"] = first["next"]
    assert first["next"] is not None
    later = await now_is("2025-07-25T12:00:00Z")
    assert later["total"] == first["total"]
    cursor["cursor"] = later["next"]
    assert (await now_is("2024-02-29T12:00:00Z"))["total"] == first["total"]


@pytest.mark.parametrize("sort", ["started_at", "-ended_at,severity", "user,-machine.in_service"])
async def test_links_page_through_the_list_and_back(seeded, sort):
    answer = await seeded.get("/logs", params={"sort": sort, "limit": 7, "q": "-été", "project__nin": "é,+"})
    walked = keys(answer.json()["items"])
    while "next" in answer.links:
        answer = await seeded.get(answer.links["next"]["url"])
        walked += keys(answer.json()["items"])
    everything = {"sort": sort, "limit": 500, "q": "-été", "project__nin": "é,+"}
    assert walked == keys((await page(seeded, **everything))["items"])
    assert len(walked) > 14
    while "prev" in answer.links:
        answer = await seeded.get(answer.links["prev"]["url"])
    assert keys(answer.json()["items"]) == walked[:7]


EVERY = [
    "machine",
    "type",
    "severity",
    "status",
    "comment",
    "cause",
    "action",
    "project",
    "user",
    "ended_at",
    "down_from",
    "down_to",
    "down_kind",
    "version",
    "machine.name",
    "machine.sector",
    "machine.model",
    "machine.in_service",
    "type.label",
    "user.role",
    "user.active",
    "user.first_name",
    "created_at",
    "updated_at",
    "machine.id",
    "started_at",
    "uuid",
]


@pytest.mark.parametrize("many", [4, 8, 16, len(EVERY)])
async def test_a_sort_by_many_fields_can_be_paged(seeded, many):
    sort = ",".join(("-" if number % 2 else "") + name for number, name in enumerate(EVERY[-many:]))
    everything = keys((await page(seeded, sort=sort, limit=500))["items"])
    found = await page(seeded, sort=sort, limit=4)
    walked = keys(found["items"])
    while found["next"] is not None:
        found = await page(seeded, sort=sort, limit=4, cursor=found["next"])
        walked += keys(found["items"])
    assert walked == everything
    while found["previous"] is not None:
        found = await page(seeded, sort=sort, limit=4, cursor=found["previous"])
    assert keys(found["items"]) == everything[: len(found["items"])]


async def test_a_cursor_mismatch_is_reported_before_a_bad_value(seeded):
    first = await page(seeded, limit=1)
    answer = await seeded.get("/logs", params={"type": "info", "limit": 0, "cursor": first["next"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor-mismatch")
