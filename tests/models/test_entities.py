"""The table classes agree with the API: a loaded row, validated by its read schema, is the JSON of a GET."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import joinedload, selectinload

from conftest import client_of, serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models.audit import ChangeRead, History
from machine_monitor.models.log import Log, LogRead
from machine_monitor.models.log_type import LogType, LogTypeRead
from machine_monitor.models.machine import Machine, MachineRead
from machine_monitor.models.user import User, UserRead
from machine_monitor.services import legacy
from models.conftest import session_on
from query.samples import collect, uuid_of
from services.legacy.cases import PARIS

RESOURCES = [
    ("machines", Machine, MachineRead, "name", []),
    ("logs", Log, LogRead, "uuid", [joinedload(Log.machine_row)]),
    ("log-types", LogType, LogTypeRead, "code", []),
    ("users", User, UserRead, "trigram", []),
    ("changes", History, ChangeRead, "seq", []),
]


async def json_by_key(url, table, read, key, options, **engine):
    """Return the JSON of every row, by its key."""
    async with session_on(url, **engine) as session:
        rows = (await session.scalars(select(table).options(*options))).all()
        return {getattr(row, key): json.loads(read.model_validate(row).model_dump_json()) for row in rows}


@pytest.mark.parametrize(("path", "table", "read", "key", "options"), RESOURCES, ids=[row[0] for row in RESOURCES])
async def test_every_row_equals_the_json_of_the_api(seeded, seeded_url, path, table, read, key, options):
    listed = {item[key]: item for item in await collect(seeded, path)}
    assert await json_by_key(seeded_url, table, read, key, options) == listed
    assert len(listed) >= 3


async def test_a_row_equals_the_json_of_get(seeded, seeded_url):
    for uuid, row in (await json_by_key(seeded_url, *RESOURCES[1][1:])).items():
        assert (await seeded.get(f"/logs/{uuid}")).json() == row


async def test_attributes_have_the_types_of_the_schemas(seeded, seeded_url):
    query = select(Log).where(Log.severity == "major", Log.attributes.is_not(None)).order_by(Log.id)
    async with session_on(seeded_url) as session:
        log = (await session.scalars(query.options(joinedload(Log.user_row)).where(Log.action.is_not(None)))).one()
        assert (log.severity, log.attributes) == ("major", {"temp": 80, "note": "Été"})
        assert log.started_at == datetime(2025, 3, 30, 1, 30, tzinfo=UTC)
        assert log.started_at.tzinfo is UTC
        assert (log.user_row.role, log.user_row.active) == ("admin", True)
    assert seeded is not None


async def test_filters_accept_api_values(seeded, seeded_url):
    since = datetime(2025, 7, 24, 22, tzinfo=UTC)
    filters = {"severity__gte": "major", "started_at__gte": since.isoformat(), "user.role__gte": "operator"}
    listed = {log["uuid"] for log in await collect(seeded, "logs", **filters)}
    query = select(Log.uuid).join(Log.user_row).where(Log.severity >= "major", User.role >= "operator")
    async with session_on(seeded_url) as session:
        selected = set(await session.scalars(query.where(Log.started_at >= since.astimezone(PARIS))))
    assert selected == listed
    assert selected


async def test_times_are_correct_in_any_time_zone_of_the_session(request):
    url = request.getfixturevalue("postgresql_database_url")
    async with serving(Settings(database_url=url)) as client:
        await client.put("/machines/Saw", json={})
        [item] = await collect(client, "machines")
    options = {"connect_args": {"options": "-c TimeZone=Pacific/Apia"}}
    assert await json_by_key(url, Machine, MachineRead, "name", [], **options) == {"Saw": item}
    created = datetime.fromisoformat(item["created_at"])
    async with session_on(url, **options) as session:
        near = Machine.created_at.between(created, created + timedelta(microseconds=1))
        assert (await session.scalars(select(Machine.name).where(near))).all() == ["Saw"]


async def test_relations_are_loaded_eagerly_on_request_and_never_lazily(seeded, seeded_url):
    assert seeded is not None
    relations = (Log.machine_row, Log.type_row, Log.user_row)
    async with session_on(seeded_url) as session:
        query = select(Log).options(*map(selectinload, relations)).where(Log.user == "DEF").limit(1)
        log = (await session.scalars(query)).one()
        assert (log.machine_row.name, log.type_row.code, log.user_row.trigram) == (log.machine, log.type, log.user)
        assert isinstance(log.machine_row, Machine)
    async with session_on(seeded_url) as session:
        bare = (await session.scalars(select(Log).limit(1))).one()
        for name in ("machine", "machine_row", "type_row", "user_row"):
            with pytest.raises(InvalidRequestError, match="lazy='raise'"):
                getattr(bare, name)
        with pytest.raises(ValidationError, match="machine_row"):
            LogRead.model_validate(bare)


async def test_a_fastapi_route_may_return_the_row(seeded, seeded_url):
    app = FastAPI()
    uuid = uuid_of(7)

    @app.get("/log", response_model=LogRead)
    async def read_log():
        async with session_on(seeded_url) as session:
            return await session.scalar(select(Log).options(joinedload(Log.machine_row)).where(Log.uuid == uuid))

    assert (await client_of(app).get("/log")).json() == (await seeded.get(f"/logs/{uuid}")).json()


@pytest.mark.untraced
async def test_every_excavator_log_equals_the_json_of_the_api(database_url, shared):
    database = Database(database_url)
    assert legacy.sync(database, shared / "data/excavators-legacy", PARIS).clean
    database.close_writer()
    listed, parameters = {}, {"limit": 500}
    async with serving(Settings(database_url=database_url)) as client:
        while parameters:
            page = (await client.get("/logs", params=parameters)).json()
            listed |= {log["uuid"]: log for log in page["items"]}
            parameters = page["next"] and {"limit": 500, "cursor": page["next"]}
    rows = await json_by_key(database_url, *RESOURCES[1][1:])
    assert len(rows) == 5_485
    assert rows == listed
