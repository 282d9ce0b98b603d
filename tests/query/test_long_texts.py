"""Paging by texts that are longer than a cursor can hold."""

import pytest

from query import samples

pytestmark = pytest.mark.untraced

# Two of these texts are longer than a cursor.
STEM = "é" * 2000
# A text that fits into a cursor. Only such a cursor is independent of later changes to its record.
HELD = "é" * 250
LETTERS = "abcdefgh"


async def fetch_all_pages(client, path, **parameters) -> list[dict]:
    """Fetch all items, page by page."""
    items, cursor = [], {}
    for _ in range(60):
        response = await client.get(path, params={**parameters, **cursor})
        assert response.status_code == 200, response.text
        items += response.json()["items"]
        if response.json()["next"] is None:
            return items
        cursor = {"cursor": response.json()["next"]}
    pytest.fail("the walk does not end")


@pytest.fixture
def stem():
    return STEM


@pytest.fixture
async def filled(client, stem):
    """Machines and logs whose long comments differ only in the last letter."""
    await client.post("/machines", json={"name": "pelle 2"})
    for number, letter in enumerate(LETTERS):
        comment = stem + letter
        assert (await client.post("/machines", json={"name": f"m{letter}", "comment": comment})).status_code == 201
        log = {"uuid": samples.uuid_of(100 + number), "machine": f"m{letter}", "type": "info", "comment": comment}
        assert (await client.post("/logs", json=log | {"cause": stem * 9, "action": comment})).status_code == 201
    return client


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize(
    ("path", "sort"),
    [
        ("/logs", "comment"),
        ("/logs", "-comment,cause,action"),
        ("/logs", "cause,action,-machine.comment,comment"),
        ("/logs", "machine.comment,-started_at"),
        ("/logs", "-started_at,comment"),
        ("/machines", "comment"),
        ("/machines", "-comment,sector"),
        ("/machines", "name,comment"),
        ("/machines", "-name,-comment"),
    ],
)
async def test_paging_by_long_texts_returns_every_row_once(filled, path, sort, limit):
    whole = (await filled.get(path, params={"sort": sort, "limit": 500})).json()["items"]
    assert await fetch_all_pages(filled, path, sort=sort, limit=limit) == whole


LAST = LETTERS[3]
UNTOUCHED = [letter for letter in LETTERS if letter != LAST]


@pytest.mark.parametrize(
    "happens",
    [
        ("DELETE", None),
        ("PATCH", {"comment": None}),
        ("PATCH", {"comment": "short"}),
        ("PATCH", {"comment": f"{HELD}zzz"}),
        ("PATCH", {"comment": f"{HELD}0"}),
    ],
    ids=["deleted", "cleared", "shortened", "moved on", "moved back"],
)
@pytest.mark.parametrize("stem", [HELD], ids=["held"])
@pytest.mark.parametrize("path", ["/machines", "/logs"])
async def test_changes_to_the_row_of_a_cursor_do_not_affect_other_rows(filled, path, happens):
    key = samples.uuid_of(103) if path == "/logs" else f"m{LAST}"
    query = {"sort": "comment", "limit": 4, "comment__startswith": HELD[:100], "fields": "comment"}
    first = (await filled.get(path, params=query)).json()
    assert first["items"][-1]["comment"] == HELD + LAST
    if path == "/machines" and happens[0] == "DELETE":
        await filled.patch(f"/logs/{samples.uuid_of(103)}", json={"machine": "pelle 2"})
    response = await filled.request(happens[0], f"{path}/{key}", json=happens[1])
    assert response.status_code in (200, 204)
    rest = (await filled.get(path, params=query | {"cursor": first["next"], "limit": 50})).json()["items"]
    letters = [item["comment"].removeprefix(HELD) for item in [*first["items"], *rest]]
    assert [letter for letter in letters if letter in UNTOUCHED] == UNTOUCHED
