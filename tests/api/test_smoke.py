"""A new database has the initial log types."""


async def test_a_new_database_has_the_initial_types(client):
    response = await client.get("/log-types", params={"fields": "code", "sort": "code"})
    assert [item["code"] for item in response.json()["items"]] == [
        "cleaning",
        "error",
        "info",
        "inspection",
        "maintenance",
        "reload",
        "setting",
    ]
