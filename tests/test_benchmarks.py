"""The benchmark is fair: its data are valid, and the reference apps return the same items as the product."""

import json
from itertools import islice

import pytest
from benchmarks import build, data, options
from benchmarks.apps import limit, naive
from benchmarks.queries import READS, QueryGenerator
from benchmarks.reporting import results
from benchmarks.sections import writes
from benchmarks.targets import items_of

from conftest import client_of, serving
from machine_monitor.config import Settings
from machine_monitor.models.log import LogCreate
from machine_monitor.models.machine import MachineCreate
from machine_monitor.models.user import UserCreate

ROWS = 200


def items(response) -> list:
    assert response.status_code == 200, response.text
    return items_of(response.json())


SCHEMAS_AND_RECORDS = [(MachineCreate, data.machines()), (UserCreate, data.users()), (LogCreate, data.logs(ROWS))]


@pytest.fixture
def seeded(sqlite_database_url) -> str:
    """The URL of a database with a few logs."""
    build.fill(sqlite_database_url, ROWS)
    return sqlite_database_url


@pytest.mark.parametrize(("schema", "records"), SCHEMAS_AND_RECORDS, ids=lambda value: getattr(value, "__name__", ""))
def test_records_have_the_json_form_of_the_api(schema, records):
    for record in islice(records, ROWS):
        assert schema.model_validate(record).model_dump(mode="json") == record


def test_the_same_seed_gives_the_same_logs():
    assert list(data.logs(ROWS)) == list(data.logs(ROWS))
    assert [log["uuid"] for log in data.logs(ROWS)] != [log["uuid"] for log in data.logs(ROWS, seed=2)]


def test_words_follow_a_zipf_distribution():
    texts = [{*f"{log['comment']} {log['cause']} {log['action']}".split()} for log in data.logs(4_000)]
    words = data.vocabulary()
    shares = [sum(word in text for text in texts) / len(texts) for word in (words[0], words[299], words[-1])]
    assert 0.3 < shares[0] < 0.5
    assert 0.003 < shares[1] < 0.02
    assert shares[2] < 0.002


async def test_the_limit_and_the_naive_app_return_the_items_of_the_product(seeded):
    path = seeded.removeprefix("sqlite:///")
    generator = QueryGenerator(path)
    paths = [path for generate_paths in READS.values() for path in generate_paths(generator)[:5]]
    async with serving(Settings(database_url=seeded)) as product:
        product.headers["Authorization"] = f"Bearer {data.TOKEN}"
        expected = [items(await product.get(path)) for path in paths]
    naive_app = naive.create_app(f"sqlite+aiosqlite:///{path}")
    for app in (limit.create_app(path), naive_app):
        async with client_of(app) as client:
            assert [items(await client.get(path)) for path in paths] == expected
    # The sixth path is that of the newest logs, which fill a page.
    assert len(expected[5]) == 50
    async with client_of(naive_app) as client, naive_app.router.lifespan_context(naive_app):
        response = await client.post("/logs", json=writes.bodies(1)[0])
    assert response.status_code == 201
    assert response.json() | writes.bodies(1)[0] == response.json()


def test_publishing_a_section_keeps_the_other_published_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PUBLISHED", tmp_path / "published")
    published, saved = tmp_path / "published/200.json", tmp_path / "data/results/200.json"
    for path, sections in ((published, {"idle": 1, "reads": 1}), (saved, {"idle": 2})):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"rows": 200, "sections": sections}))
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    assert results.publish(options.read([])) == [{"rows": 200, "sections": {"idle": 2, "reads": 1}}]
