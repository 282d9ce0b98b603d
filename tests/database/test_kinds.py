"""Column types convert values for ORM sessions, and do not change the text of any statement."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from machine_monitor.database.kinds import OBJECT, TIME, VERBATIM_JSON, rank
from servers import environment

AT = datetime(2025, 7, 25, 13, 18, 25, tzinfo=UTC)
SIZE = rank("small", "large").column_type
PARIS = timezone(timedelta(hours=2))


def test_column_types_do_not_change_any_compiled_statement(database_url, new_database_url):
    other = new_database_url(database_url.split(":")[0])
    decorated, bare = compiled_statements(database_url), compiled_statements(other, "bare")
    assert len(decorated) > 100
    assert decorated == bare


def compiled_statements(url: str, *words: str) -> list[str]:
    program = Path(__file__).with_name("statement_texts.py")
    run = subprocess.run(
        [sys.executable, str(program), url, *words], env=environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (TIME.column_type, AT, "2025-07-25T13:18:25"),
        (TIME.column_type, AT.replace(microsecond=500_000), "2025-07-25T13:18:25.500000"),
        (SIZE, "large", 1),
        (OBJECT.column_type, {"b": 1.0, "a": "é"}, '{"b":1.0,"a":"é"}'),
        (VERBATIM_JSON.column_type, {"a": [None, 1]}, '{"a":[null,1]}'),
    ],
)
def test_a_value_round_trips_in_the_form_that_the_service_stores(kind, value, stored):
    dialect = sqlite.dialect()
    assert kind.process_bind_param(value, dialect) == stored
    assert kind.process_result_value(stored, dialect) == value
    assert kind.process_bind_param(None, dialect) is kind.process_result_value(None, dialect) is None


def test_a_time_is_stored_and_loaded_in_utc_whatever_its_zone():
    loaded = TIME.column_type.process_result_value(AT.astimezone(PARIS), postgresql.dialect())
    assert (loaded, loaded.tzinfo) == (AT, UTC)
    assert TIME.column_type.process_bind_param(AT.astimezone(PARIS), sqlite.dialect()) == "2025-07-25T13:18:25"


@pytest.mark.parametrize(
    ("kind", "value"), [(TIME.column_type, AT.replace(tzinfo=None)), (TIME.column_type, "2025"), (SIZE, "huge")]
)
def test_an_invalid_value_is_refused(kind, value):
    with pytest.raises(ValueError, match=r"time zone|small, large"):
        kind.process_bind_param(value, sqlite.dialect())
