import sqlite3
from itertools import product

import psycopg
import pytest

from machine_monitor.database import database_urls
from query import samples
from query.summaries import brute_force

# Conditions and search terms.
CASES = [
    ([], []),
    ([("type", "", ["error", "info"])], []),
    ([("machine", "ne", ["a"])], []),
    ([("machine.sector", "", ["1A"]), ("severity", "gte", ["major"])], []),
    ([("project", "isnull", [True]), ("type", "nin", ["reload"])], []),
    ([("user", "ne", ["ABC"]), ("user", "isnull", [False]), ("status", "", ["open"])], [(["huile"], False)]),
    ([("machine", "", ["Écluse"]), ("type", "", ["error"]), ("project", "contains", ["p"])], []),
    ([("started_at", "gte", ["2025-03-29"]), ("started_at", "lt", ["2025-10-26"])], [(["moteur"], True)]),
    ([("type", "", ["no-such"])], []),
    ([], [(["huile", "moteur"], False)]),
]


def query_parameters(conditions, terms) -> list[tuple[str, str]]:
    pairs = []
    for name, operator, operands in conditions:
        texts = ["true" if text is True else "false" if text is False else text for text in operands]
        texts = [",".join(texts)] if operator == "nin" else texts
        pairs += [(name + (operator and f"__{operator}"), text) for text in texts]
    q = " ".join(f'{"-" * excluded}"{" ".join(words)}"' for words, excluded in terms)
    return [*pairs, ("q", q)] if q else pairs


@pytest.mark.parametrize("timezone", ["Europe/Paris"])
@pytest.mark.parametrize("limit", [1, 3, 500])
@pytest.mark.parametrize(("conditions", "terms"), CASES, ids=range(len(CASES)))
async def test_facets_agree_with_brute_force(plant, logs, conditions, terms, limit):
    # All in turn, and not always together with the same others.
    names = [*brute_force.FACETS, *brute_force.FACETS[::-2]]
    for by in (tuple(names[i : i + 5]) for i in range(0, len(names), 5)):
        expected = {}
        for name in by:
            others = [condition for condition in conditions if condition[0] != name]
            expected[name] = brute_force.facet(
                [log for log in logs if brute_force.holds(log, others, terms)], name, limit
            )
        parameters = [("by", ",".join(by)), ("limit", limit), *query_parameters(conditions, terms)]
        response = await plant.get("/logs/facets", params=parameters)
        assert response.status_code == 200, response.text
        assert response.json() == {"facets": expected, "capped": []}
        assert list(response.json()["facets"]) == list(by)


async def test_a_search_that_matches_nothing_has_empty_facets(plant):
    response = await plant.get("/logs/facets", params={"by": "type,project", "q": "-"})
    assert response.json() == {"facets": {"type": [], "project": []}, "capped": []}


async def test_the_values_of_an_attribute_keep_their_types(client):
    await client.post("/machines", json=samples.MACHINES[0])
    machine, key = samples.MACHINES[0]["name"], "it's \" odd \\"
    values = [True, True, 1, 1.0, "1", "a", "a b", "A", -2, False, None]
    for value in values:
        body = {"machine": machine, "type": "info", "attributes": {} if value is None else {key: value}}
        assert (await client.post("/logs", json=body)).status_code == 201
    name = f"attributes.{key}"
    ordered = [(True, 2), (1, 2), (False, 1), (-2, 1), ("1", 1), ("A", 1), ("a", 1), ("a b", 1), (None, 1)]

    def typed(value, count):
        return type(value), value, count

    answer = (await client.get("/logs/facets", params={"by": f"type,{name}", f"{name}": "a"})).json()
    found = answer["facets"][name]
    assert [typed(row["value"], row["count"]) for row in found] == [typed(*row) for row in ordered]
    assert answer["facets"]["type"] == [{"value": "info", "count": 1}]
    answer = (await client.get("/logs/stats", params={"group_by": f"type,{name}"})).json()
    found = [typed(group[name], group["count"]) for group in answer["groups"]]
    by_value = [(False, 1), (True, 2), (-2, 1), (1, 2), ("1", 1), ("A", 1), ("a", 1), ("a b", 1), (None, 1)]
    assert found == [typed(*row) for row in by_value]


MANY = 10_050
OLD = 60
INSERT = """
INSERT INTO logs
(uuid, machine_id, type, severity, status, project, started_at, attributes, version, created_at, updated_at)
SELECT {uuid}, 1, CASE WHEN n <= {old} THEN 'reload' ELSE 'info' END, n % 2, 'done',
CASE WHEN n % 3 = 0 THEN 'P' END, {time}, '{{}}', 1, {time}, {time} FROM {numbers}
"""
# The last log is the oldest; all others have the same instant, so their order is that of writing.
ROWS = {
    "sqlite": {
        "uuid": "printf('%08x-0000-7000-8000-000000000000', n)",
        "time": f"CASE WHEN n = {MANY} THEN '2024-01-01T00:00:00' ELSE '2025-01-01T00:00:00' END",
        "numbers": f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n<{MANY}) SELECT n FROM s)",
    },
    "postgresql": {
        "uuid": "gen_random_uuid()",
        "time": f"CASE WHEN n = {MANY} THEN TIMESTAMPTZ '2024-01-01T00:00Z' ELSE TIMESTAMPTZ '2025-01-01T00:00Z' END",
        "numbers": f"generate_series(1, {MANY}) AS s(n)",
    },
}


async def test_filtered_facets_count_the_ten_thousand_newest_logs(client, database_url):
    await client.post("/machines", json=samples.MACHINES[0])
    parsed_url = database_urls.parse(database_url)
    sqlite = parsed_url.engine.name == "sqlite"
    connection = sqlite3.connect(parsed_url.path) if sqlite else psycopg.connect(parsed_url.conninfo)
    connection.execute(INSERT.format(old=OLD, **ROWS[parsed_url.engine.name]))
    connection.commit()
    connection.close()

    async def facets(**parameters) -> tuple[dict, list]:
        response = (await client.get("/logs/facets", params=parameters)).json()
        return {
            name: {row["value"]: row["count"] for row in rows} for name, rows in response["facets"].items()
        }, response["capped"]

    # Not counted: the oldest log, and the first 49 of those with the same instant.
    found, capped = await facets(by="type,project,machine", status="done")
    assert capped == ["type", "project", "machine"]
    assert found["type"] == {"info": 10_000 - 11, "reload": 11}
    assert sum(found["project"].values()) == 10_000
    assert found["machine"] == {samples.MACHINES[0]["name"]: 10_000}
    # The same holds without a filter for the fields that have no counters.
    found, capped = await facets(by="machine.sector,down_kind,attributes.cost")
    assert capped == ["down_kind", "attributes.cost"]
    assert (found["down_kind"], found["attributes.cost"]) == ({None: 10_000}, {None: 10_000})
    # A facet ignores its own filter. If there is no other filter, it comes from the counters and is not capped.
    found, capped = await facets(by="status,severity,type", severity="info")
    assert capped == []
    assert (found["status"], sum(found["type"].values())) == ({"done": MANY // 2}, MANY // 2)
    # Exactly ten thousand are within the limit.
    page = (await client.get("/logs", params={"limit": 500, "sort": "started_at", "fields": "uuid"})).json()
    beyond = [item["uuid"] for item in page["items"][:50]]
    uuids = [("uuid__nin", ",".join(part)) for part in (beyond[:25], beyond[25:])]
    response = (await client.get("/logs/facets", params=[("by", "type"), *uuids])).json()
    assert (response["capped"], sum(row["count"] for row in response["facets"]["type"])) == ([], 10_000)
    response = (await client.get("/logs/facets", params=[("by", "type"), *uuids[:1]])).json()
    assert (response["capped"], sum(row["count"] for row in response["facets"]["type"])) == (["type"], 10_000)


@pytest.mark.parametrize(("first", "second"), list(product(("type=info", "q=huile"), ("type=error", "q=moteur"))))
async def test_facets_with_the_same_parameters_share_one_compiled_statement(plant, sent_statements, first, second):
    for query in (first, second):
        assert (await plant.get(f"/logs/facets?by=type,machine,user&status=done&{query}")).status_code == 200
    assert len(sent_statements) == 2
    assert (sent_statements[0] is sent_statements[1]) == (first[0] == second[0])
