"""The Pareto analysis weighs values as stats does, on random logs."""

from itertools import product

import pytest

WINDOWS = (
    {"from": "2020-01-01", "to": "now"},
    {"from": "2025-01-01", "to": "2025-03-30"},
    {"from": "2025-03-29T23:59Z", "to": "2025-10-26"},
)
FILTERS = ({}, {"type": "error"}, {"q": "huile"}, {"machine.sector": "1A"})


@pytest.mark.untraced
@pytest.mark.parametrize("timezone", ["Europe/Paris", "America/New_York"])
async def test_weights_are_the_metrics_of_stats(plant, timezone):
    del timezone
    for by, weight in product(("type", "machine", "machine.sector"), ("count", "failures", "downtime")):
        for window, filters in product(WINDOWS, FILTERS):
            query = {**window, **filters}
            found = await plant.get("/logs/pareto", params={**query, "by": by, "weight": weight, "limit": 500})
            # Cancelled logs count in the stats' `count` alone.
            counted = {**query, "status__ne": "cancelled", "group_by": by, "metrics": weight}
            stats = await plant.get("/logs/stats", params=counted)
            expected = {group[by]: group[weight] for group in stats.json()["groups"] if group[weight]}
            groups = found.json()["groups"]
            assert {group["value"]: group["weight"] for group in groups} == expected
            assert [group["weight"] for group in groups] == sorted(expected.values(), reverse=True)
            assert not groups or groups[-1]["cumulative"] == 1
