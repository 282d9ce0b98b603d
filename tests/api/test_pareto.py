"""GET /logs/pareto: how values are added up, what they weigh, and what is refused."""

from datetime import UTC, datetime

import pytest

from machine_monitor.database import instants

NOW = datetime(2025, 11, 3, 9, tzinfo=UTC)
WINDOW = {"from": "2025-10-01", "to": "2025-10-31"}


@pytest.fixture
async def plant(client, monkeypatch):
    monkeypatch.setattr(instants, "now", lambda: NOW)
    for name in ("Lathe", "Écluse", "Ecluse"):
        assert (await client.post("/machines", json={"name": name, "sector": "1 A"})).status_code == 201
    return client


async def record(client, *logs: dict) -> None:
    for log in logs:
        body = {"machine": "Lathe", "type": "error", "started_at": "2025-10-10T06:00Z", **log}
        answer = await client.post("/logs", json=body)
        assert answer.status_code == 201, answer.text


async def pareto(client, **parameters) -> dict:
    answer = await client.get("/logs/pareto", params={**WINDOW, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def weights(client, **parameters) -> dict:
    return {group["value"]: group["weight"] for group in (await pareto(client, **parameters))["groups"]}


async def test_texts_are_added_up_and_shown_in_their_most_frequent_spelling(plant):
    causes = ["Câble cassé", "cable casse", "Câble  cassé", "Câble cassé", "Roulement", None]
    await record(plant, *({"cause": cause} for cause in causes))
    assert await pareto(plant, by="cause") == {
        "groups": [
            {
                "value": "Câble cassé",
                "spellings": ["Câble cassé", "Câble  cassé", "cable casse"],
                "weight": 4,
                "share": 4 / 6,
                "cumulative": 4 / 6,
            },
            {"value": "Roulement", "spellings": ["Roulement"], "weight": 1, "share": 1 / 6, "cumulative": 5 / 6},
            {"value": None, "spellings": [], "weight": 1, "share": 1 / 6, "cumulative": 1},
        ],
        "rest": {"values": 0, "weight": 0, "share": 0},
    }


async def test_values_beyond_the_limit_are_the_rest(plant):
    await record(plant, *({"cause": cause} for cause in "aaabbcd"))
    found = await pareto(plant, by="cause", limit=2)
    assert [group["value"] for group in found["groups"]] == ["a", "b"]
    assert found["rest"] == {"values": 2, "weight": 2, "share": 2 / 7}


async def test_machines_are_never_one_value(plant):
    await record(plant, {"machine": "Écluse"}, {"machine": "Écluse"}, {"machine": "Ecluse"})
    assert await weights(plant, by="machine") == {"Écluse": 2, "Ecluse": 1}
    assert await weights(plant, by="machine.sector") == {"1 A": 3}


async def test_attributes_keep_their_type(plant):
    values = ["5", "5", 5, 2.5, True, "true", "Été", "ete", "ete", None]
    await record(plant, *({"attributes": {} if value is None else {"part": value}} for value in values))
    groups = (await pareto(plant, by="attributes.part"))["groups"]
    found = [(group["value"], group["weight"]) for group in groups]
    assert found == [("ete", 3), ("5", 2), ("true", 1), (2.5, 1), (5, 1), (True, 1), (None, 1)]
    assert isinstance(found[5][0], bool)


async def test_failures_are_those_of_stats(plant):
    stop = {"down_from": "2025-10-10T06:00Z", "down_to": "2025-10-10T07:00Z"}
    logs = [{}, {"type": "info"}, {"type": "info", "down_kind": "failure", **stop}, {"down_kind": "planned", **stop}]
    await record(plant, *logs, {"status": "cancelled"})
    assert await weights(plant, by="type", weight="failures") == {"error": 1, "info": 1}
    assert await weights(plant, by="type") == {"error": 2, "info": 2}


async def test_downtime_is_cut_and_counts_once_for_each_value_and_machine(plant):
    def stop(start: str, end: str | None, **others) -> dict:
        return {"down_from": f"2025-{start}:00Z", "down_to": end and f"2025-{end}:00Z", **others}

    await record(
        plant,
        stop("10-10T06", "10-10T08", cause="belt"),
        stop("10-10T07", "10-10T09", cause="Belt"),
        stop("10-10T07", "10-10T08", cause="oil"),
        stop("10-10T07", "10-10T08", cause="belt", machine="Ecluse"),
        stop("10-10T00", "10-11T00", cause="none", status="cancelled"),
        stop("09-30T22", "10-01T02", cause="door"),
        stop("10-31T23", None, cause="door", machine="Ecluse"),
        stop("11-01T00", "11-02T00", cause="later"),
    )
    found = await weights(plant, by="cause", weight="downtime")
    assert found == {"belt": 4 * 3600, "door": 3 * 3600, "oil": 3600}
    assert await weights(plant, by="cause", weight="downtime", machine="Ecluse") == {"belt": 3600, "door": 3600}
    by_machine = await weights(plant, by="machine", weight="downtime")
    stats = await plant.get("/logs/stats", params={**WINDOW, "group_by": "machine", "metrics": "downtime"})
    assert by_machine == {group["machine"]: group["downtime"] for group in stats.json()["groups"]}


async def test_the_window_is_the_last_90_days_by_default(plant):
    await record(plant, {"started_at": "2025-08-05T08:59Z"}, {"started_at": "2025-08-05T09:00Z"})
    await record(plant, {"started_at": "2025-11-04T00:00Z"})
    answer = await plant.get("/logs/pareto", params={"by": "type"})
    assert [group["weight"] for group in answer.json()["groups"]] == [1]


async def test_filters_and_search_choose_logs(plant):
    await record(plant, {"cause": "oil pump", "severity": "major"}, {"cause": "belt"})
    assert await weights(plant, by="cause", severity="major") == {"oil pump": 1}
    assert await weights(plant, by="cause", q="belt") == {"belt": 1}
    assert await weights(plant, by="cause", q="none") == {}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({}, "by"),
        ({"by": "comment"}, "by"),
        ({"by": "cause,type"}, "by"),
        ({"by": "attributes.a__b"}, "by"),
        ({"by": "cause", "weight": "cost"}, "weight"),
        ({"by": "cause", "limit": "0"}, "limit"),
        ({"by": "cause", "from": "2025-12-01"}, "from"),
    ],
)
async def test_what_is_refused_names_the_parameter(plant, parameters, name):
    answer = await plant.get("/logs/pareto", params=parameters)
    assert answer.status_code == 422
    assert [fault["parameter"] for fault in answer.json()["errors"]] == [name]
