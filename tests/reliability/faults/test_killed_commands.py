"""Commands that are killed while they write are atomic, and a second run completes the work."""

import json
import random
import signal
import time
from collections import Counter
from contextlib import contextmanager

import pytest

import forked_processes
from conftest import ENGINES
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from machine_monitor.services.checks.verify import verify
from servers import environment
from services.legacy.cases import everything

OLDEST = "0001"


class Command:
    """A command that runs to its end, which takes `seconds`, or is killed at a random moment."""

    def __init__(self, folder, url, *words):
        self.seconds = 0.0
        self._arguments = words, folder, environment(database_url=url)
        self._log = folder / "killed.log"

    def run(self):
        # Start the fork server first, because the first process takes seconds.
        forked_processes.run(["--version"], *self._arguments[1:])
        began = time.monotonic()
        forked_processes.run(*self._arguments)
        self.seconds = time.monotonic() - began

    def run_and_kill(self):
        """Start the command and kill it at a random moment; return False if it had already ended."""
        process = forked_processes.ForkedCommand(*self._arguments, self._log)
        time.sleep(random.Random().uniform(0, self.seconds))
        process.kill()
        return process.wait() == -signal.SIGKILL


@contextmanager
def open_database(url):
    database = Database(url)
    yield database
    database.close_writer()


def database_state(url):
    """Return all records and the length of the history."""
    with open_database(url) as database:
        return everything(database), history_length(database)


def history_length(database):
    def count(tx):
        tx.cursor.execute("SELECT count(*) FROM history")
        return tx.cursor.fetchone()[0]

    return database.snapshot(count)


def assert_sound(url):
    with open_database(url) as database:
        assert verify(database).faults == []
        if database.engine.name == "sqlite":
            (result,) = database.snapshot(lambda tx: tx.cursor.execute("PRAGMA integrity_check").fetchall())
            assert result == ("ok",)


@pytest.fixture
def legacy(tmp_path, extent):
    """A folder with records of the legacy tool."""
    logs = tmp_path / "legacy" / "logs"
    logs.mkdir(parents=True)
    for number in range(extent(short=500, long=1_500)):
        log = {"machineName": f"m {number % 7}", "type": "info", "comment": f"the comment of log {number}", "cost": "1"}
        log |= {"timeStamp": f"2025_01_{number % 28 + 1:02}__10_00_00", "userName": "ab", "project": "P"}
        (logs / f"00000000-0000-4000-8000-{number:012}.json").write_text(json.dumps(log))
    return logs.parent


def sync(tmp_path, url, legacy):
    return Command(tmp_path, url, "sync", str(legacy))


@pytest.mark.proof("kill -9 in mm sync")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_sync_is_atomic(tmp_path, new_database_url, engine, legacy, extent, record_counts):
    complete_url = new_database_url(engine)
    empty_state = database_state(complete_url)
    (complete_sync := sync(tmp_path, complete_url, legacy)).run()
    complete_state, outcomes = database_state(complete_url), Counter()
    for _ in range(times := extent(short=4, long=10)):
        url = new_database_url(engine)
        command = sync(tmp_path, url, legacy)
        command.seconds = complete_sync.seconds
        killed = command.run_and_kill()
        state = database_state(url)
        assert state in (empty_state, complete_state)
        outcomes["nothing" if state == empty_state else "all"] += killed
        command.run()
        assert database_state(url) == complete_state
        assert_sound(url)
    record_counts(times, killed_while_running=outcomes.total(), rolled_back=outcomes["nothing"], half_done=0)


@pytest.mark.proof("kill -9 in mm migrate")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_migration_is_atomic(tmp_path, new_database_url, engine, legacy, extent, record_counts):
    url = new_database_url(engine)
    parsed_url, newest = database_urls.parse(url), migrations.head_revision()
    sync(tmp_path, url, legacy).run()
    migrations.downgrade(parsed_url, OLDEST)
    command = Command(tmp_path, url, "migrate")
    command.run()
    complete_state, revisions = database_state(url), Counter()
    for _ in range(times := extent(short=4, long=10)):
        migrations.downgrade(parsed_url, OLDEST)
        killed = command.run_and_kill()
        revision = migrations.current_revision(parsed_url)
        assert revision in (OLDEST, newest)
        revisions[revision] += killed
        command.run()
        assert migrations.current_revision(parsed_url) == newest
        assert database_state(url) == complete_state
        assert_sound(url)
    record_counts(times, killed_while_running=revisions.total(), rolled_back=revisions[OLDEST], half_done=0)
