"""Paging while other clients write."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query import oracle, samples

pytestmark = pytest.mark.untraced

SORTABLE = [
    "started_at",
    "ended_at",
    "severity",
    "status",
    "type",
    "user",
    "project",
    "machine",
    "machine.sector",
    "machine.in_service",
    "version",
    "machine.year_of_acquisition",
    "user.first_name",
    "user.role",
    "type.counts_as_failure",
    "machine.id",
    "down_from",
    "uuid",
    "comment",
]
SORTS = st.lists(st.sampled_from(SORTABLE), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*[st.sampled_from([name, f"-{name}"]) for name in names]).map(",".join)
)
TYPES, USERS = ("error", "info", "X-1.a"), (None, "ABC", "DEF", "gh.1")
INSTANTS = ("2025-01-01T00:00:00.000000Z", "2025-01-01T00:00:00.000001Z", "2025-01-02T00:00:00Z")
INSTANTS_OR_NONE = (*INSTANTS, None, None)


def random_log(number: int, rng: random.Random) -> dict:
    """Return a log with few different values, so that most sorts consist of ties and nulls."""
    started = rng.choice(INSTANTS)
    ended = rng.choice(INSTANTS_OR_NONE)
    return {
        "uuid": samples.uuid_of(number),
        "machine": rng.choice(samples.MACHINES)["name"],
        "type": rng.choice(TYPES),
        "severity": rng.choice(oracle.RANKS["severity"]),
        "status": rng.choice(["open", "done"]),
        "user": rng.choice(USERS),
        "started_at": started,
        "ended_at": ended if ended and ended >= started else None,
        "down_from": rng.choice(INSTANTS_OR_NONE),
        "project": rng.choice([None, "", "a", "é", "Z"]),
        "comment": rng.choice([None, "", "huile"]),
    }


@pytest.fixture
async def filled(client):
    """Forty logs on the sample machines, and the random generator that made them."""
    rng = random.Random(7)
    for path, records in (("machines", samples.MACHINES), ("log-types", samples.TYPES), ("users", samples.USERS)):
        for record in records:
            await client.post(f"/{path}", json=record)
    for number in range(40):
        response = await client.post("/logs", json=random_log(number, rng))
        assert response.status_code == 201, response.text
    return client


async def page(client, **parameters) -> dict:
    response = await client.get("/logs", params={"expand": "machine,type,user", **parameters})
    assert response.status_code == 200, response.text
    return response.json()


def keys(items) -> list[str]:
    return [item["uuid"] for item in items]


async def expected_uuids(client, numbers, sort) -> list[str]:
    """Return the logs with these numbers, sorted by the oracle."""
    there = {item["uuid"]: item for item in (await page(client, limit=500))["items"]}
    written = [there[samples.uuid_of(number)] for number in sorted(numbers) if samples.uuid_of(number) in there]
    return keys(oracle.sort_records(written, sort, ("started_at",)))


@pytest.mark.slow
@settings(max_examples=20)
@given(sort=SORTS, seed=st.integers(0, 2**32))
async def test_paging_returns_every_unchanged_row_once_in_order_during_writes(filled, sort, seed):
    rng = random.Random(seed)
    present = {item["uuid"] for item in (await page(filled, limit=500))["items"]}
    untouched = {number for number in range(40) if samples.uuid_of(number) in present and number % 4}
    victims = [key for key in present if int(key[:8], 16) % 4 == 0 or int(key[:8], 16) >= 40]
    rng.shuffle(victims)
    fresh = max(int(key[:8], 16) for key in present) + 1

    async def disturb():
        nonlocal fresh
        if rng.random() < 0.5:
            await filled.post("/logs", json=random_log(max(fresh, 40), rng))
            fresh = max(fresh, 40) + 1
        elif victims:
            await filled.delete(f"/logs/{victims.pop()}")

    expected = await expected_uuids(filled, untouched, sort)
    unchanged = set(expected)
    current_page = await page(filled, sort=sort, limit=rng.randint(1, 9))
    assert current_page["previous"] is None
    forward, steps = keys(current_page["items"]), 1
    while current_page["next"] is not None:
        await disturb()
        current_page = await page(filled, sort=sort, cursor=current_page["next"], limit=rng.randint(1, 9))
        forward += keys(current_page["items"])
        steps += 1
        assert steps < 100
    assert [key for key in forward if key in unchanged] == expected
    assert len(set(forward)) == len(forward)
    backward = keys(current_page["items"])
    while current_page["previous"] is not None:
        await disturb()
        current_page = await page(filled, sort=sort, cursor=current_page["previous"], limit=rng.randint(1, 9))
        backward = keys(current_page["items"]) + backward
        steps += 1
        assert steps < 200
    assert [key for key in backward if key in unchanged] == expected
    assert len(set(backward)) == len(backward)


@settings(max_examples=20)
@given(sort=SORTS, limit=st.integers(1, 41), data=st.data())
async def test_offset_cursor_and_oracle_agree_and_ends_are_null(filled, sort, limit, data):
    expected = await expected_uuids(filled, range(40), sort)
    assert keys((await page(filled, sort=sort, limit=500))["items"]) == expected
    offset = data.draw(st.integers(0, 39), label="offset")
    first = await page(filled, sort=sort, limit=limit, offset=offset)
    assert keys(first["items"]) == expected[offset : offset + limit]
    assert (first["previous"] is None) == (offset == 0)
    assert (first["next"] is None) == (offset + limit >= 40)
    if first["next"]:
        following = await page(filled, sort=sort, limit=limit, cursor=first["next"])
        assert keys(following["items"]) == expected[offset + limit : offset + 2 * limit]
        back = await page(filled, sort=sort, limit=limit, cursor=following["previous"])
        assert keys(back["items"]) == expected[offset : offset + limit]
        assert (back["previous"] is None) == (offset == 0)
    if first["previous"]:
        preceding = await page(filled, sort=sort, limit=limit, cursor=first["previous"])
        assert keys(preceding["items"]) == expected[max(0, offset - limit) : offset]
        assert preceding["next"] is not None
        assert (preceding["previous"] is None) == (limit >= offset)


async def test_paging_continues_after_all_rows_of_a_page_were_deleted(filled):
    first = await page(filled, limit=30)
    rest = (await page(filled, limit=30, cursor=first["next"]))["items"]
    await asyncio.gather(*[filled.delete(f"/logs/{key}") for key in keys(rest)])
    empty = await page(filled, limit=30, cursor=first["next"])
    assert (empty["items"], empty["next"]) == ([], None)
    back = await page(filled, limit=30, cursor=empty["previous"])
    assert (keys(back["items"]), back["previous"]) == (keys(first["items"]), None)
