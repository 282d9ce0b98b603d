"""Stats agree with a brute-force computation."""

from itertools import combinations
from random import Random
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.query import stats, stats_groups
from machine_monitor.services.projections import counters
from query import oracle
from query.summaries import brute_force
from query.summaries.test_facets import CASES, query_parameters

ZONES = ("Europe/Paris", "America/New_York", "Asia/Kathmandu", "UTC")
METRICS = ("count", "failures", "downtime", "duration", "mean_duration")
OF_ATTRIBUTES = tuple(
    f"{function}:attributes.{key}" for key in ("cost", "n", "none") for function in ("sum", "mean", "min", "max")
)
WINDOWS = (
    {},
    {"from": "2025-01-01"},
    {"to": "2025-03-30"},
    {"from": "2020-12-31", "to": "2025-10-26"},
    {"from": "2025-03-29T23:59Z", "to": "2025-03-30T00:01Z"},
)
every_zone = pytest.mark.parametrize("timezone", ZONES)


def groupings(rng: Random, how_many: int) -> list[tuple[str, ...]]:
    """Return groupings by random fields and time units, in random order."""
    found = [(), *[(unit,) for unit in brute_force.FORMATS]]
    for _ in range(how_many):
        names = rng.sample(brute_force.FACETS, rng.randrange(4)) + rng.sample(
            sorted(brute_force.FORMATS), rng.randrange(2)
        )
        found.append(tuple(rng.sample(names, len(names))))
    return found


def bounds(window: dict, timezone: str) -> tuple:
    """Return the bounds of a window as datetimes: a day begins at `from`, and ends at `to`."""
    found = []
    for name in ("from", "to"):
        text = window.get(name)
        if text is None or "T" in text:
            found.append(text and oracle.parse_instant(text))
        else:
            found.append(oracle.day_bounds(text, ZoneInfo(timezone))[name == "to"])
    return tuple(found)


async def measure(client, group_by, metrics, pairs=()) -> dict:
    grouped = [("group_by", ",".join(group_by))] if group_by else []
    answer = await client.get("/logs/stats", params=[*grouped, ("metrics", ",".join(metrics)), *pairs])
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.untraced
@pytest.mark.parametrize(("number", "timezone"), [(number, ZONES[number % 4]) for number in range(len(CASES))])
async def test_stats_agree_with_brute_force(plant, logs, timezone, number):
    conditions, terms = CASES[number]
    if timezone != "Europe/Paris":
        # The oracle computes days in the time zone of Paris.
        conditions = [condition for condition in conditions if condition[0] != "started_at"]
    matching = [log for log in logs if brute_force.holds(log, conditions, terms)]
    rng = Random(number)
    for group_by in groupings(rng, 12):
        metrics = tuple(rng.sample(METRICS + OF_ATTRIBUTES, rng.randint(1, 4)))
        window = rng.choice(WINDOWS)
        expected = brute_force.stats(matching, group_by, metrics, ZoneInfo(timezone), bounds(window, timezone))
        pairs = [*query_parameters(conditions, terms), *window.items()]
        found = await measure(plant, group_by, metrics, pairs)
        assert found == {"groups": expected, "truncated": False}
        assert all(list(group) == [*group_by, *metrics] for group in found["groups"])


@pytest.mark.slow
@pytest.mark.untraced
@every_zone
async def test_downtime_agrees_with_a_count_of_minutes(plant, logs, timezone):
    for fields in ((), ("machine",), ("type",), ("machine", "type"), ("machine.sector", "user")):
        for unit in ((), *[(unit,) for unit in brute_force.FORMATS]):
            expected = brute_force.stats(logs, (*unit, *fields), METRICS, ZoneInfo(timezone))
            assert (await measure(plant, (*unit, *fields), METRICS))["groups"] == expected


@every_zone
async def test_counters_give_the_same_stats_as_a_scan_and_only_in_their_zone(
    plant, logs, plant_url, timezone, sent_statements
):
    database = Database(plant_url)
    units = ["", *brute_force.FORMATS]
    pairs = [(field, unit) for field in ("", "type") for unit in units]
    pairs += [("machine", unit) for unit in ("", "month", "year")] + [("machine.sector", "month"), ("severity", "")]
    for zone in (timezone, "Pacific/Apia"):
        counters.ensure_zone(database, ZoneInfo(zone))
        for field, unit in pairs:
            metrics = ("count", "failures") if field in ("", "type") else ("count",)
            group_by = tuple(filter(None, (field, unit)))
            sent_statements.clear()
            found = await measure(plant, group_by, metrics)
            assert found["groups"] == brute_force.stats(logs, group_by, metrics, ZoneInfo(timezone))
            assert len(sent_statements) == (1 if zone == timezone or not unit else 2)
            assert "log_counts" in sent_statements[0].sql
    database.close_writer()


@pytest.mark.parametrize("most", [1, 2, 5, 30])
@pytest.mark.parametrize("timezone", ["Europe/Paris"])
async def test_more_than_ten_thousand_groups_are_truncated_and_marked(plant, logs, monkeypatch, most):
    for module in (stats, stats_groups):
        monkeypatch.setattr(module, "MAX_GROUPS", most)
    orders = [("day",), ("day", "machine"), ("machine", "day"), ("type", "week", "machine"), ("machine", "type")]
    for group_by in orders:
        for metrics in (("count",), METRICS):
            expected = brute_force.stats(logs, group_by, metrics, ZoneInfo("Europe/Paris"))
            found = await measure(plant, group_by, metrics)
            assert found == {"groups": expected[:most], "truncated": len(expected) > most}


async def test_stats_without_logs_are_zeros_or_empty(client):
    for metrics in (m for length in (1, 2, 3) for m in combinations((*METRICS, "sum:attributes.x"), length)):
        values = {name: None if name == "mean_duration" else 0 for name in metrics}
        zeros = {"groups": [values], "truncated": False}
        assert await measure(client, (), metrics) == zeros
        assert await measure(client, (), metrics, [("type", "info")]) == zeros
        assert await measure(client, ("machine", "day"), metrics) == {"groups": [], "truncated": False}


@pytest.mark.usefixtures("at_now")
async def test_downtime_is_exact_to_the_microsecond(client):
    await client.post("/machines", json={"name": "m"})
    stops = [
        ("2025-01-31T23:59:59.5Z", "2025-02-01T00:00:00.000001Z"),
        ("2025-02-01T00:00:00Z", "2025-02-01T00:00:00Z"),
        ("2025-11-03T08:59:00Z", None),
        ("2025-11-03T09:00:00Z", None),
        ("2030-01-01T00:00:00Z", None),
        ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"),
    ]
    for start, end in stops:
        log = {"machine": "m", "type": "info", "started_at": "2025-01-01T00:00Z", "down_from": start, "down_to": end}
        assert (await client.post("/logs", json=log)).status_code == 201
    assert await measure(client, ("month",), ("downtime", "count")) == {
        "groups": [
            {"month": "2025-01", "downtime": 0.5, "count": 6},
            {"month": "2025-02", "downtime": 0.000001, "count": 0},
            {"month": "2025-11", "downtime": 60, "count": 0},
            {"month": "2030-01", "downtime": 86_400, "count": 0},
        ],
        "truncated": False,
    }
    assert await measure(client, (), ("downtime",)) == {"groups": [{"downtime": 86_460.500001}], "truncated": False}
