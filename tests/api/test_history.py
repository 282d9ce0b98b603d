"""The history of a record: one entry per change, with author, channel and note."""

from urllib.parse import quote

import pytest

from api.resource_cases import LOGS, MACHINES, create, entries

pytestmark = pytest.mark.asyncio(loop_scope="module")
both = pytest.mark.parametrize("resource", [LOGS, MACHINES], ids=lambda resource: resource.path)
READ_ONLY = {"id", "version", "created_at", "updated_at"}


@both
async def test_a_create_lists_every_value_that_is_not_null(seeded, resource):
    key, record = await create(seeded, resource, attributes={"a": 1.5, "b": False}, comment="")
    (entry,) = await entries(seeded, resource, key)
    assert entry["changes"] == {
        name: [None, value] for name, value in record.items() if name not in READ_ONLY and value is not None
    }
    assert (entry["op"], entry["version"], entry["user"], entry["note"]) == ("create", 1, None, None)
    assert entry["at"] == record["created_at"]
    assert entry.keys() == {"seq", "at", "user", "via", "op", "version", "changes", "note"}


@both
async def test_each_change_adds_an_entry_and_an_unchanged_record_adds_none(seeded, resource):
    key, record = await create(seeded, resource, comment="a", attributes={"k": 1})
    await seeded.patch(resource.path_of(key), json={"comment": "b", "attributes": {"k": 2, "l": True}})
    await seeded.patch(resource.path_of(key), json={"comment": "b"})
    await seeded.put(resource.path_of(key), json=resource.minimal_body | {"comment": None})
    await seeded.put(resource.path_of(key), json=resource.minimal_body)
    last = (await seeded.get(resource.path_of(key))).json()
    newest, middle, first = await entries(seeded, resource, key)
    assert middle["changes"] == {"comment": ["a", "b"], "attributes": [{"k": 1}, {"k": 2, "l": True}]}
    assert newest["changes"] == {"comment": ["b", None], "attributes": [{"k": 2, "l": True}, {}]}
    assert [entry["op"] for entry in (newest, middle, first)] == ["update", "update", "create"]
    assert [entry["version"] for entry in (newest, middle, first)] == [3, 2, 1]
    assert newest["seq"] > middle["seq"] > first["seq"]
    assert (newest["at"], first["at"]) == (last["updated_at"], record["created_at"])


async def test_a_refused_write_leaves_no_entry(seeded):
    key, _ = await create(seeded, LOGS)
    await seeded.patch(LOGS.path_of(key), json={"machine": "nothing like it"})
    await seeded.patch(LOGS.path_of(key), json={"ended_at": "1980-01-01T00:00:00Z"})
    await seeded.patch(LOGS.path_of(key), json={"comment": "x"}, headers={"If-Match": '"5"'})
    assert len(await entries(seeded, LOGS, key)) == 1


@pytest.mark.parametrize(
    ("header", "note"),
    [
        (b"because", "because"),
        ("déjà 🛠".encode(), "déjà 🛠"),
        (quote("déjà 🛠 100%").encode(), "déjà 🛠 100%"),
        (b"50% off", "50% off"),
        (b"a+b%2Bc", "a+b+c"),
        (quote("é" * 500).encode(), "é" * 500),
        ("🛠".encode() * 500, "🛠" * 500),
    ],
)
async def test_a_change_note_is_stored_with_the_change(seeded, header, note):
    headers = {b"X-Change-Note": header}
    key = LOGS.new_key()
    assert (await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body, headers=headers)).status_code == 201
    assert (await seeded.patch(LOGS.path_of(key), json=LOGS.change, headers=headers)).status_code == 200
    assert (await seeded.delete(LOGS.path_of(key), headers=headers)).status_code == 204
    assert [(entry["op"], entry["note"]) for entry in await entries(seeded, LOGS, key)] == [
        ("delete", note),
        ("update", note),
        ("create", note),
    ]


@pytest.mark.parametrize("header", [b"x" * 501, b"\xff\xfe", b"%FF", b"%ED%A0%80", b"a%00b", ("é" * 501).encode()])
async def test_an_invalid_change_note_is_reported_with_all_other_errors(seeded, header):
    key = LOGS.new_key()
    body = LOGS.minimal_body | {"severity": "bad"}
    response = await seeded.put(LOGS.path_of(key), json=body, headers={b"X-Change-Note": header})
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 2
    assert (await seeded.get(LOGS.path_of(key))).status_code == 404


async def test_a_deleted_log_keeps_its_history(seeded):
    key, record = await create(seeded, LOGS, comment="x")
    assert (await seeded.delete(LOGS.path_of(key))).status_code == 204
    deleted, _ = await entries(seeded, LOGS, key)
    assert (deleted["op"], deleted["version"]) == ("delete", 2)
    assert deleted["changes"]["comment"] == ["x", None]
    assert record["version"] == 1


@both
async def test_a_history_is_paged_filtered_and_sorted_like_a_list(seeded, resource):
    # A name with characters that a URL has to encode.
    key = resource.new_key() if resource is LOGS else "a?b #c%25&d=é"
    await seeded.put(resource.path_of(key), json=resource.minimal_body)
    for number in range(4):
        assert (await seeded.patch(resource.path_of(key), json={"comment": str(number)})).status_code == 200
    everything = await entries(seeded, resource, key)
    url = f"{resource.path_of(key)}/history"
    response = await seeded.get(url, params={"limit": 2, "count": "exact"})
    assert (response.json()["total"], response.json()["previous"]) == (5, None)
    walked = response.json()["items"]
    while "next" in response.links:
        response = await seeded.get(response.links["next"]["url"])
        assert response.status_code == 200, response.text
        walked += response.json()["items"]
    assert walked == everything
    for parameters, expected in (
        ({"op": "create"}, everything[4:]),
        ({"version__gt": 3}, everything[:2]),
        ({"sort": "seq"}, everything[::-1]),
        ({"at__gte": "today", "note__isnull": "true"}, everything),
        ({"fields": "seq", "offset": 4}, [{"seq": everything[4]["seq"]}]),
    ):
        assert (await seeded.get(url, params=parameters)).json()["items"] == expected


@both
async def test_a_cursor_of_another_history_is_refused(seeded, resource):
    (one, _), (other, _) = await create(seeded, resource), await create(seeded, resource)
    for key in (one, other):
        await seeded.patch(resource.path_of(key), json=resource.change)
    cursor = (await seeded.get(f"{resource.path_of(one)}/history", params={"limit": 1})).json()["next"]
    response = await seeded.get(f"{resource.path_of(other)}/history", params={"limit": 1, "cursor": cursor})
    assert (response.status_code, response.json()["code"]) == (400, "cursor-mismatch")


@both
async def test_a_search_in_a_history_is_not_ignored(seeded, resource):
    key, _ = await create(seeded, resource)
    response = await seeded.get(f"{resource.path_of(key)}/history", params={"q": "wordthatisnowhere"})
    assert response.status_code == 422 or response.json()["items"] == []


@both
@pytest.mark.parametrize("query", ["", "?limit=1"])
async def test_a_record_that_never_existed_has_no_history(seeded, resource, query):
    for key in (resource.new_key(), "abc"):
        assert (await seeded.get(f"{resource.path_of(key)}/history{query}")).status_code == 404


async def test_a_note_is_filtered_like_any_text(seeded):
    key, _ = await create(seeded, LOGS)
    await seeded.patch(LOGS.path_of(key), json=LOGS.change, headers={"X-Change-Note": "Usure%20d%C3%A9tect%C3%A9e"})
    for operator, value in (("contains", "DETECT"), ("startswith", "usure"), ("endswith", "ee"), ("gte", "U")):
        response = await seeded.get(f"{LOGS.path_of(key)}/history", params={f"note__{operator}": value})
        assert (response.status_code, len(response.json().get("items", []))) == (200, 1), operator
