"""`to_dataframe` reads the times of the API, and nothing that only has such a name."""

import sys
from types import SimpleNamespace

import pytest

from machine_monitor.client import dataframes, to_dataframe
from machine_monitor.models import CHANGES, HISTORY, RESOURCES, TOKENS


class Frame(dict):
    """As much of a DataFrame as is needed: columns by name. No lock file has pandas."""

    def __init__(self, rows):
        super().__init__({name: [row.get(name) for row in rows] for row in rows for name in row})
        self.columns = list(self)


@pytest.fixture
def pandas(monkeypatch):
    module = SimpleNamespace(DataFrame=Frame, to_datetime=lambda column, **_: ["time", *column])
    monkeypatch.setitem(sys.modules, "pandas", module)


@pytest.mark.usefixtures("pandas")
def test_only_fields_that_are_times_are_read_as_times():
    record = {
        "started_at": "2025-01-01T00:00:00Z",
        "machine": "Saw",
        "machine.created_at": "2024-01-01T00:00:00Z",
        "machine.attributes.at": "shelf 4",
        "looked_at": "x",
        "attributes": {"checked_at": "the gate", "started_at": "noon"},
    }
    frame = to_dataframe([record])
    assert [name for name, column in frame.items() if column[0] == "time"] == ["started_at", "machine.created_at"]
    assert frame["attributes.checked_at"] == ["the gate"]


def test_the_times_are_those_of_the_api():
    declared = {
        name
        for resource in (*RESOURCES, HISTORY, CHANGES, TOKENS)
        for name, field in resource.own_fields.items()
        if field.kind.name == "time"
    }
    # The time of a machine's newest log is shown beside its fields.
    assert declared | {"last_log_at"} == dataframes.TIMES
