"""GET /reliability: the worked example of the documentation, the window, and what is refused."""

from datetime import UTC, datetime

import pytest

from machine_monitor.database import instants
from machine_monitor.services.projections.reliability import rows

NOW = datetime(2025, 11, 3, 9, tzinfo=UTC)
WEEK = {"from": "2025-10-20", "to": "2025-10-26", "group_by": "machine"}


@pytest.fixture
async def plant(client, monkeypatch):
    """A client of a plant whose only machine exists since 1 October."""
    monkeypatch.setattr(instants, "now", lambda: datetime(2025, 10, 1, tzinfo=UTC))
    assert (await client.post("/machines", json={"name": "Lathe 1", "sector": "1A"})).status_code == 201
    monkeypatch.setattr(instants, "now", lambda: NOW)
    return client


async def record(client, **log) -> str:
    answer = await client.post(
        "/logs", json={"machine": "Lathe 1", "type": "error", "started_at": "2025-10-20T06:00Z", **log}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["uuid"]


async def figures(client, **parameters) -> dict:
    answer = await client.get("/reliability", params={**WEEK, **parameters})
    assert answer.status_code == 200, answer.text
    (group,) = answer.json()["groups"]
    return group


async def test_the_worked_example_of_the_documentation(plant):
    """See docs/reliability.md."""
    stops = [
        ("failure", "2025-10-20T06:00Z", "2025-10-20T08:00Z"),
        ("failure", "2025-10-20T07:00Z", "2025-10-20T10:00Z"),
        ("planned", "2025-10-20T09:00Z", "2025-10-20T12:00Z"),
        ("external", "2025-10-26T20:00Z", "2025-10-27T04:00Z"),
    ]
    for kind, start, end in stops:
        await record(plant, down_kind=kind, down_from=start, down_to=end)
    await record(plant, started_at="2025-10-22T09:00Z")
    await record(plant, status="cancelled", down_from="2025-10-21T00:00Z", down_to="2025-10-22T00:00Z")
    assert await figures(plant) == {
        "machine": "Lathe 1",
        "required_time": 604_800,
        "operating_time": 568_800,
        "down_time": 36_000,
        "failure_time": 14_400,
        "external_time": 14_400,
        "planned_time": 7_200,
        "failures": 2,
        "mtbf": 284_400,
        "mttr": 14_400,
        "availability": 568_800 / 604_800,
        "technical_availability": 568_800 / 583_200,
        "open_stops": 1,
    }


async def test_the_definition_has_a_sentence_for_each_figure(plant):
    answer = (await plant.get("/reliability", params=WEEK)).json()
    assert answer["definition"].keys() >= answer["groups"][0].keys() - {"machine"}


async def test_a_machine_without_logs_has_its_row(plant):
    found = await figures(plant)
    assert (found["required_time"], found["failures"], found["availability"]) == (604_800, 0, 1)
    assert (found["mtbf"], found["mttr"]) == (None, None)


async def test_the_window_ends_now_at_most_and_is_the_last_90_days_by_default(plant):
    window = (await plant.get("/reliability")).json()["window"]
    assert window == {"from": "2025-08-05T09:00:00Z", "to": "2025-11-03T09:00:00Z"}
    window = (await plant.get("/reliability", params={"from": "2025-11-01", "to": "2025-12-31"})).json()["window"]
    assert window == {"from": "2025-11-01T00:00:00Z", "to": "2025-11-03T09:00:00Z"}


async def test_out_of_service_is_not_required(plant, monkeypatch):
    for moment, in_service in ((datetime(2025, 10, 22, tzinfo=UTC), False), (datetime(2025, 10, 24, tzinfo=UTC), True)):
        monkeypatch.setattr(instants, "now", lambda moment=moment: moment)
        answer = await plant.patch("/machines/Lathe 1", json={"in_service": in_service})
        assert answer.status_code == 200
    monkeypatch.setattr(instants, "now", lambda: NOW)
    await record(plant, down_kind="planned", down_from="2025-10-23T00:00Z", down_to="2025-10-25T00:00Z")
    found = await figures(plant)
    assert (found["required_time"], found["down_time"]) == (5 * 86_400, 86_400)


async def test_deleted_logs_count_again_when_they_are_restored(plant):
    uuid = await record(plant, down_from="2025-10-20T06:00Z", down_to="2025-10-20T08:00Z")
    assert (await plant.delete(f"/logs/{uuid}")).status_code == 204
    assert (await figures(plant))["failures"] == 0
    assert (await plant.post(f"/logs/{uuid}/restore")).status_code == 200
    found = await figures(plant)
    assert (found["failures"], found["down_time"]) == (1, 7_200)


async def test_more_rows_than_python_can_add_up_in_time_are_refused(plant, monkeypatch):
    await record(plant, down_from="2025-10-20T06:00Z", down_to="2025-10-20T08:00Z")
    paths = [("/reliability", WEEK), ("/logs/pareto", {"by": "machine", "weight": "downtime"})]
    for most, status in ((10, 200), (0, 503)):
        monkeypatch.setattr(rows, "MAX_ROWS", most)
        assert [(await plant.get(path, params=params)).status_code for path, params in paths] == [status, status]


async def test_a_rename_changes_the_name_alone(plant):
    await record(plant, down_from="2025-10-20T06:00Z", down_to="2025-10-20T08:00Z")
    before = await figures(plant)
    assert (await plant.patch("/machines/Lathe 1", json={"name": "Lathe 2"})).status_code == 200
    assert await figures(plant) == {**before, "machine": "Lathe 2"}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"from": "2025-10-27", "to": "2025-10-20"}, "from"),
        ({"from": "2025-12-01"}, "from"),
        ({"from": "soon"}, "from"),
        ({"group_by": "type"}, "group_by"),
        ({"group_by": "day,month"}, "group_by"),
        ({"type": "error"}, "type"),
        ({"q": "oil"}, "q"),
        ({"machine.hall": "1"}, "machine.hall"),
    ],
)
async def test_what_is_refused_names_the_parameter(plant, parameters, name):
    answer = await plant.get("/reliability", params=parameters)
    assert answer.status_code == 422
    assert [fault["parameter"] for fault in answer.json()["errors"]] == [name]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"machine": "Lathe 1"}, 1),
        ({"machine__contains": "LATHE"}, 1),
        ({"machine.sector__in": "1A,2B"}, 1),
        ({"machine.sector": "2B"}, 0),
        ({"machine.attributes.cost": "5"}, 0),
        ({"machine.created_at__lt": "2025-10-02"}, 1),
    ],
)
async def test_filters_choose_machines(plant, parameters, found):
    answer = await plant.get("/reliability", params={**WEEK, **parameters})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["groups"]) == found
