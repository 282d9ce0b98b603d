"""A service that imports tables, and helpers that wait for its workers."""

import asyncio

import pytest

from conftest import serving
from machine_monitor.config import Settings
from services.backup.full_database import verify_database

ORDERS = {
    "name": "orders",
    "zone": "Europe/Paris",
    "key": ["Order"],
    "fields": {
        "machine": "Equipment",
        "started_at": {"column": "Date", "dates": ["dmy"]},
        "type": {"const": "error"},
        "comment": "Text",
    },
}
HEADER = "Order;Date;Equipment;Text\r\n"
WORKING = ("reading", "applying", "undoing")


def rows(numbers, text="It leaks."):
    """Return a table of orders as a French spreadsheet program saves it."""
    lines = (f"{number};{1 + number % 28:02d}/09/2025;Saw {number % 3};{text}\r\n" for number in numbers)
    return HEADER + "".join(lines)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "files"


@pytest.fixture
async def client(database_url, folder):
    """An in-process client of an open service. What a test leaves in the database must be what its history says."""
    async with serving(Settings(database_url=database_url, files=str(folder))) as opened:
        yield opened
    assert verify_database(database_url).faults == []


async def upload(client, table, name="orders.csv", **fields):
    content = table if isinstance(table, bytes) else table.encode()
    return await client.post("/imports", files={"file": (name, content)}, data=fields)


async def settled(client, identity):
    """Return an import when no worker works on it."""
    for _ in range(1_200):
        found = (await client.get(f"/imports/{identity}")).json()
        if found["state"] not in WORKING:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def done(client, identity, action):
    """Apply or undo an import, and return it at the end."""
    begun = await client.post(f"/imports/{identity}/{action}")
    assert begun.status_code == 202, begun.text
    return await settled(client, identity)
