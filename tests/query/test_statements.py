"""Each request is one SQL statement, compiled once."""

from itertools import product

import pytest

from machine_monitor.query.lists import list_statement
from machine_monitor.query.sql.documents import record_statement

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Query strings of lists; `?` is replaced by a different value in each round.
SHAPES = [
    "/logs?machine=?",
    "/logs?machine=?&machine=x",
    "/logs?machine__in=?,x&type__nin=?",
    "/logs?machine.sector=?&user.role__gte=lead&type.active=true",
    "/logs?q=? -word",
    "/logs?q=-",
    "/logs?sort=-severity,machine.sector,user.first_name&project=?",
    "/logs?started_at=2025-07-2?&started_at__lt=now",
    "/logs?count=exact&comment__contains=?",
    "/logs?count=capped&user__isnull=true&project__ne=?",
    "/logs?expand=machine,type,user&project__gt=?",
    "/logs?fields=uuid,machine&offset=?",
    "/machines?sector=?",
    "/machines?sort=-year_of_acquisition&count=exact&q=?",
    "/users?role__in=lead,admin&first_name=?",
    "/log-types?label__startswith=?",
    "/logs?attributes.?__gte=1",
    "/logs?attributes.temp=?&attributes.temp=x&machine.attributes.?__nin=?,x",
    "/machines?attributes.?__contains=x&attributes.?__isnull=true",
]
PAGED = [
    f"/logs?limit=2&sort={sort}&{more}"
    for sort, more in product(
        ("started_at", "-ended_at", "machine,-user.role", "severity,-project,-machine.in_service"),
        ("", "count=exact", "count=capped&expand=machine,user&status=done"),
    )
]


async def read(client, url: str) -> dict:
    response = await client.get(url.replace(" ", "%20"))
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("url", SHAPES)
async def test_a_list_is_one_statement_compiled_once(seeded, sent_statements, url):
    await read(seeded, url.replace("?", "0").replace("0", "?", 1))
    compiled = list_statement.misses
    for value in "123":
        await read(seeded, url.replace("?", value).replace(value, "?", 1))
    assert list_statement.misses == compiled
    assert len(sent_statements) == 4
    assert len({id(statement) for statement in sent_statements}) == 1


@pytest.mark.parametrize("url", PAGED)
async def test_every_page_is_one_statement(seeded, sent_statements, url):
    page, pages = await read(seeded, url), 1
    while page["next"] is not None:
        page, pages = await read(seeded, f"{url}&cursor={page['next']}"), pages + 1
    while page["previous"] is not None:
        page, pages = await read(seeded, f"{url}&cursor={page['previous']}"), pages + 1
    assert len(sent_statements) == pages > 4


async def test_paging_compiles_one_statement_for_each_direction(seeded, sent_statements):
    for _ in range(2):
        compiled = list_statement.misses
        page = await read(seeded, "/logs?limit=1")
        while page["next"] is not None:
            page = await read(seeded, f"/logs?limit=1&cursor={page['next']}")
        while page["previous"] is not None:
            page = await read(seeded, f"/logs?limit=1&cursor={page['previous']}")
    assert list_statement.misses == compiled
    assert len({id(statement) for statement in sent_statements}) == 3


@pytest.mark.parametrize(
    "url", ["/machines/pelle 2", "/machines/pelle 2?fields=sector", "/log-types/error", "/users/ABC", "/readyz"]
)
async def test_a_record_is_one_statement(seeded, sent_statements, url):
    await read(seeded, url)
    compiled = record_statement.misses
    await read(seeded, url)
    assert record_statement.misses == compiled
    assert len(sent_statements) == 2


async def test_a_refused_query_sends_no_statement(seeded, sent_statements):
    for query in ("machin=x", "limit=0", "cursor=x", "severity=bad", "started_at=soon", "sort=nothing"):
        assert (await seeded.get(f"/logs?{query}")).status_code in (400, 422)
    assert sent_statements == []
