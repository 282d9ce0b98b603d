"""Settings of a PostgreSQL server, database or role change no result."""

import psycopg
import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations, objects
from machine_monitor.models import METADATA
from services.backup.full_database import api_responses, fill, save, stored_rows, verify_database

HOSTILE = {
    "TimeZone": "America/St_Johns",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "gin_fuzzy_search_limit": "1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "100ms",
    "lock_timeout": "100ms",
    "idle_in_transaction_session_timeout": "100ms",
}
EXPORTS = (
    "/logs.ndjson?started_at__gte=2025-07-25T12:00:00%2B05:00",
    "/logs.csv?dialect=excel&updated_at__gte=-1d",
    "/logs/stats?group_by=month,machine&metrics=count,failures,downtime",
    "/reliability?from=2025-07-01&to=2025-07-31&group_by=month,machine",
    "/logs?started_at=2025-07-25&sort=-started_at",
)


# Not a setting that changes results: the schema of the tables.
SCHEMA = {"search_path": "other"}


def set_for_role(connection, settings) -> None:
    """Make these, and no others, the settings of the next sessions in this database."""
    role = f"ALTER ROLE postgres IN DATABASE {connection.info.dbname}"
    connection.execute(f"{role} RESET ALL")
    for setting, value in settings.items():
        connection.execute(f"{role} SET {setting} = {value!r}")


@pytest.fixture
def hostile_url(empty_url):
    """The URL of an empty database with `HOSTILE` settings."""
    newer = {"transaction_timeout": "100ms"}
    with psycopg.connect(database_urls.parse(empty_url).conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
        set_for_role(connection, HOSTILE | SCHEMA | (newer if connection.info.server_version >= 17_00_00 else {}))
        yield empty_url
        set_for_role(connection, {})


async def everything(url: str, folder) -> dict[str, object]:
    async with serving(Settings(database_url=url, timezone="Europe/Paris")) as client:
        exports = {path: (await client.get(path)).raise_for_status().content for path in EXPORTS}
    assert verify_database(url).faults == []
    database = Database(url)
    assert database.snapshot(lambda tx: objects.find_differences(tx.engine, tx.cursor, METADATA)) == []
    database.close_writer()
    file = folder / f"{len([*folder.iterdir()])}.db"
    return exports | await api_responses(url) | {"rows": stored_rows(url), "saved": save(url, file).head}


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
async def test_a_database_with_other_settings_gives_the_same_bytes(hostile_url, tmp_path):
    migrations.ensure_schema(database_urls.parse(hostile_url))
    await fill(hostile_url)
    expected = await everything(hostile_url, tmp_path)
    with psycopg.connect(database_urls.parse(hostile_url).conninfo, autocommit=True) as connection:
        assert connection.execute("SHOW TimeZone").fetchone() == ("America/St_Johns",)
        set_for_role(connection, SCHEMA)
    assert await everything(hostile_url, tmp_path) == expected
