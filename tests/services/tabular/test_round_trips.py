"""Records with any content round-trip through a file to another database."""

import json
import unicodedata
import uuid
from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from machine_monitor.models import LOG_TYPES, USERS
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.services import legacy, records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import storage
from services.tabular.files import PARIS, UTC, counts, export, opened, put, read, stored_records

pytestmark = [pytest.mark.untraced, pytest.mark.slow]

AUTHORS = (None, "ABC", "d-e")
FORMS = [("ndjson", None), ("csv", None), ("csv", "excel")]

nasty = st.text(
    st.sampled_from("\",;'=+-@\t\r\n\\ \ufeff\x01\x85\u2028\ue000éa1")
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=12,
)
texts = st.none() | nasty | st.sampled_from(["", "'=1", "''", "null", "true", "12", "2025-01-01", '""', "=", " "])
keys = nasty.filter(lambda key: key and "." not in key and "__" not in key)
attributes = st.dictionaries(
    keys,
    nasty | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False),
    max_size=4,
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda name: name == name.strip() and name not in (".", "..") and len(unicodedata.normalize("NFC", name)) < 100
)
times = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)).map(  # noqa: DTZ001 -- formatted as text, with an offset
    lambda moment: f"{moment.isoformat()}Z"
)
machines = st.fixed_dictionaries(
    {"name": names},
    optional={
        "sector": texts,
        "comment": texts,
        "year_of_acquisition": st.none() | st.integers(1900, 2100),
        "in_service": st.none() | st.booleans(),
        "attributes": attributes,
    },
)
logs = st.fixed_dictionaries(
    {
        "uuid": st.uuids().map(str),
        "machine": st.sampled_from(["Saw", "=Lathe", '\'Écluse; "2"']),
        "type": st.sampled_from(["info", "error", "PM-01"]),
    },
    optional={
        "severity": st.sampled_from(["info", "minor", "major", "critical"]),
        "status": st.sampled_from(["open", "done"]),
        "comment": texts,
        "cause": texts,
        "action": texts,
        "project": texts,
        "started_at": times,
        "down_from": st.none() | times,
        "down_kind": st.sampled_from([None, "failure", "planned", "external"]),
        "attributes": attributes,
    },
).map(lambda log: log if log.get("down_from") else {**log, "down_kind": None})


def sorted_by(key, found):
    return sorted(
        ({**record, "attributes": sorted_members(record)} for record in found), key=lambda record: record[key]
    )


def sorted_members(record):
    return sorted((name, type(value).__name__, value) for name, value in record["attributes"].items())


@pytest.mark.parametrize(("suffix", "dialect"), FORMS, ids=str)
@settings(max_examples=10)
@given(written=st.lists(logs, max_size=4, unique_by=lambda log: log["uuid"]))
@example(written=[{"uuid": str(uuid.UUID(int=0)), "machine": "Saw", "type": "info", "comment": "", "cause": None}])
def test_logs_round_trip_to_another_database(source_and_target_urls, tmp_path, suffix, dialect, written):
    source, target = source_and_target_urls
    put(source, "machines", *[{"name": name} for name in ("Saw", "=Lathe", '\'Écluse; "2"')])
    with opened(source) as database:
        declare(database)
    # An example may update a log of an earlier example, whose author is immutable.
    put(source, "logs", *[{**log, "user": AUTHORS[int(log["uuid"][0], 16) % 3]} for log in written])
    path = tmp_path / f"logs.{suffix}"
    assert export(source, path, dialect=dialect) == len(stored_records(source, "logs"))
    report = read(target, path)
    assert report["logs"] == counts(
        created=report["logs"]["created"], updated=report["logs"]["updated"], unchanged=report["logs"]["unchanged"]
    )
    assert sorted_by("uuid", stored_records(target, "logs")) == sorted_by("uuid", stored_records(source, "logs"))
    again = read(target, path)
    assert again["logs"] == counts(unchanged=len(stored_records(source, "logs")))


def declare(database):
    def unit(tx):
        for resource, key in ((LOG_TYPES, "PM-01"), (USERS, "ABC"), (USERS, "d-e")):
            if storage.find_id_by_key(tx, resource, key) is None:
                body = resource.create.model_validate({resource.key: key})
                records.insert(tx, resource, body.model_dump(mode="json"), ChangeContext("test"))

    database.transact(unit)


@pytest.mark.parametrize(("suffix", "dialect"), FORMS, ids=str)
@settings(max_examples=10)
@given(written=st.lists(machines, max_size=4))
def test_machines_round_trip_to_another_database(source_and_target_urls, tmp_path, suffix, dialect, written):
    source, target = source_and_target_urls
    for machine in written:
        put(source, "machines", machine)
    path = tmp_path / f"machines.{suffix}"
    export(source, path, "machines", dialect=dialect)
    read(target, path)
    assert sorted_by("name", stored_records(target, "machines")) == sorted_by(
        "name", stored_records(source, "machines")
    )


def test_the_excavator_data_round_trips_in_the_same_order(source_and_target_urls, tmp_path, shared):
    source, target = source_and_target_urls
    with opened(source) as database:
        legacy.sync(database, shared / "data/excavators-legacy", PARIS)
    for resource, count, lines in (("machines", 5, 5), ("logs", 5485, 5485)):
        path = tmp_path / f"{resource}.ndjson"
        assert export(source, path, resource) == count
        assert len(path.read_bytes().splitlines()) == lines
        report = read(target, path)
        assert report[resource] == counts(created=count)
    assert (report["machines"], report["users"], report["log_types"]) == (
        counts(),
        counts(created=1),
        counts(created=6),
    )
    assert stored_records(target, "logs") == stored_records(source, "logs")
    assert stored_records(target, "machines") == stored_records(source, "machines")
    for suffix, dialect in FORMS:
        path = tmp_path / f"all.{suffix}"
        export(source, path, dialect=dialect)
        assert read(target, path)["logs"] == counts(unchanged=5485)
        texts = []
        for url in source_and_target_urls:
            export(url, path, query="sort=-started_at&fields=uuid,comment,attributes")
            texts.append(path.read_bytes())
        assert texts[0] == texts[1]


def test_an_import_ignores_the_related_columns_of_an_export(source_and_target_urls, tmp_path):
    source, target = source_and_target_urls
    put(source, "machines", {"name": "Saw", "sector": "1A"})
    put(source, "logs", {"uuid": str(uuid.UUID(int=7)), "machine": "Saw", "type": "info", "attributes": {"n": 1.5}})
    for suffix in ("ndjson", "csv"):
        path = tmp_path / f"logs.{suffix}"
        fields = "uuid,machine,type,started_at,machine.sector,attributes,attributes.n,version"
        export(source, path, query=f"fields={fields}&expand=machine,user")
        assert read(target, path, UTC)["logs"]["rejected"] == 0
        assert stored_records(target, "logs") == stored_records(source, "logs")
    assert json.loads((tmp_path / "logs.ndjson").read_text())["expanded"]["machine"]["sector"] == "1A"
