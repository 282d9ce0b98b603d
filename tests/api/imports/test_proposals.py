"""A table that was recognised wrongly is read in another way, and gets a new proposal of a mapping."""

from api.imports.conftest import ORDERS, rows, settled, upload


async def test_an_import_shows_first_rows_and_the_most_frequent_values_of_each_column(client):
    found = (await upload(client, rows(range(12)))).json()
    assert found["sample"]["rows"][:2] == [
        ["0", "01/09/2025", "Saw 0", "It leaks."],
        ["1", "02/09/2025", "Saw 1", "It leaks."],
    ]
    assert len(found["sample"]["rows"]) == 10
    order, _, equipment, text = found["sample"]["columns"]
    assert equipment == {
        "name": "Equipment",
        "values": [{"value": f"Saw {number}", "count": 4} for number in range(3)],
        "is_complete": True,
    }
    assert text["values"] == [{"value": "It leaks.", "count": 12}]
    assert len(order["values"]) == 12


async def test_a_table_that_is_read_in_another_way_gets_another_proposal(client):
    table = rows(range(3)).replace("Saw 0", "Saw, old")
    found = (await upload(client, table)).json()
    read = {"delimiter": ",", "header": 1}
    wrong = (await client.post(f"/imports/{found['id']}/proposal", json={"read": read})).json()
    assert wrong["read"]["delimiter"] == ","
    assert wrong["sample"]["columns"][0]["name"].startswith("Order;Date")
    again = (await client.post(f"/imports/{found['id']}/proposal", json={"read": {"delimiter": ";"}})).json()
    assert again["state"] == "ready"
    assert again["mapping"] == found["mapping"]
    assert again["sample"] == found["sample"]
    assert again["preview"]["counts"]["logs"]["created"] == 3


async def test_a_table_with_our_columns_can_be_mapped_by_hand(client):
    found = (await upload(client, "machine,type,started_at,comment\nSaw,error,2025-09-01T08:00:00Z,Leaks\n")).json()
    assert found["mapping"] is None
    again = (await client.post(f"/imports/{found['id']}/proposal", json={"read": {}})).json()
    assert again["mapping"]["fields"]["machine"] == "machine"


async def test_what_cannot_be_read_is_refused_and_the_import_stays_as_it_is(client):
    found = (await upload(client, rows(range(3)))).json()
    path = f"/imports/{found['id']}/proposal"
    for body, pointer in (
        ({"read": {"delimitr": ";"}}, "/read/delimitr"),
        ({"read": {"header": -1}}, "/read/header"),
        (ORDERS, ""),
    ):
        response = await client.post(path, json=body)
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert (await client.post(path, json={"read": {"encoding": "klingon"}})).status_code == 422
    after = await settled(client, found["id"])
    assert {**after, "problem": None} == {**found, "problem": None}
