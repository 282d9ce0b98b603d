"""Renames and merges of machines, while two services write the logs of these machines, leave a history that verifies.

The versions of logs follow from the order of history entries: it must be the order in which their rows were written.
"""

import asyncio
import random
import time
from collections import Counter

import pytest

from conftest import serving
from machine_monitor.config import Settings
from services.backup.full_database import verify_database

CLIENTS = 16


class Writer:
    """Writes through one client at random; `names` and `uuids` are shared, so that writers meet at records."""

    def __init__(self, client, seed: int, names: list[str], uuids: list[str]) -> None:
        self._client, self._rng, self._names, self._uuids = client, random.Random(seed), names, uuids

    async def run(self, until: float) -> Counter:
        """Write until a time; return how often the service responded with each status."""
        seen: Counter = Counter()
        writes = (
            self._post,
            self._post,
            self._patch,
            self._patch,
            self._delete,
            self._restore,
            self._rename,
            self._merge,
        )
        while time.monotonic() < until:
            response = await self._rng.choice(writes)()
            seen[response.status_code] += 1
        return seen

    def _name(self) -> str:
        return self._rng.choice(self._names)

    def _path(self) -> str:
        return f"/logs/{self._rng.choice(self._uuids)}"

    async def _post(self):
        name = self._rng.choice([self._name(), f"new {self._rng.randrange(9)}"])
        response = await self._client.post("/logs", json={"machine": name, "type": "info", "unlisted": True})
        if response.status_code == 201:
            self._uuids.append(response.json()["uuid"])
            self._names.append(response.json()["machine"])
        return response

    def _patch(self):
        return self._client.patch(self._path(), json={"machine": self._name(), "comment": str(self._rng.random())})

    def _delete(self):
        return self._client.delete(self._path())

    def _restore(self):
        return self._client.post(f"{self._path()}/restore")

    async def _rename(self):
        name = self._name() + self._rng.choice(["", "x", "X"])
        response = await self._client.patch(f"/machines/{self._name()}", json={"name": name})
        if response.status_code == 200:
            self._names.append(response.json()["name"])
        return response

    def _merge(self):
        return self._client.post(f"/machines/{self._name()}/merge", json={"into": self._name()})


@pytest.mark.proof("machines renamed and merged while their logs are written")
async def test_concurrent_renames_and_merges_leave_a_history_that_verifies(database_url, extent, record_counts):
    settings = Settings(database_url=database_url)
    async with serving(settings) as one, serving(settings) as two:
        names, uuids = ["Lathe", "Press", "Saw"], []
        for name in names:
            body = {"machine": name, "type": "info", "unlisted": True}
            uuids.append((await one.post("/logs", json=body)).json()["uuid"])
        until = time.monotonic() + extent(short=4, long=120)
        writers = [Writer((one, two)[number % 2], number, names, uuids) for number in range(CLIENTS)]
        seen = sum(await asyncio.gather(*[writer.run(until) for writer in writers]), Counter())
    assert not any(status >= 500 for status in seen if status != 503), seen
    assert verify_database(database_url).faults == []
    record_counts(sum(seen.values()), contradictions=0)
