"""A backup during writes is a committed state that contains every write acknowledged before the backup started."""

import threading
import uuid
from pathlib import Path

import pytest

from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.errors import DatabaseBusy
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.models.log import LogCreate, LogUpdate
from machine_monitor.models.machine import MachineCreate
from machine_monitor.services import backup, records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.checks import verify
from machine_monitor.services.records import Target

WRITERS = 4
LOGS_DURING_BACKUP = 1_000
LOGS_AND_ENTRY_COUNTS = """SELECT CAST(uuid AS text), version, (
    SELECT count(*) FROM history h WHERE h.resource = 'logs' AND h.record_id = logs.id AND h.version <= logs.version
    AND h.key = CAST(uuid AS text)
) FROM logs"""
INITIAL_TYPES = 7


class Writer(threading.Thread):
    """Creates and changes a log for each permit, until `stop` is set; `acknowledged` contains the committed ones."""

    def __init__(self, url: str, permits: threading.Semaphore, stop: threading.Event) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._database = Database(url)
        self._permits, self._stopping = permits, stop

    def run(self) -> None:
        while self._permits.acquire() and not self._stopping.is_set():
            try:
                self.acknowledged.append(self._database.transact(self._write))
            except DatabaseBusy:
                continue
        self._database.close_writer()

    def _write(self, tx) -> str:
        name, context = str(uuid.uuid4()), ChangeContext(via="test")
        body = LogCreate(uuid=name, machine="Press", type="info", comment="écrit")
        records.create(tx, LOGS, body, context)
        if self.acknowledged:
            changed = LogUpdate(comment=f"changed with {name}")
            records.update(tx, Target(LOGS, self.acknowledged[-1]), changed, context)
        return name


def ignore_progress(_done: int, _total: int) -> None:
    """Ignore progress."""


def check(file: Path, url: str, acknowledged: set[str]) -> int:
    """Restore a backup, verify it, and return its number of logs."""
    contents = backup.restore(file, database_urls.parse(url), ignore_progress)
    database = Database(url)
    verdict = verify.verify(database, verify.hash_chain.parse_head(contents.head))
    logs = database.snapshot(lambda tx: tx.cursor.execute(LOGS_AND_ENTRY_COUNTS).fetchall())
    database.close_writer()
    assert verdict.faults == []
    assert acknowledged <= {name for name, _, _ in logs}
    assert [version for _, version, _ in logs] == [entries for _, _, entries in logs]
    assert contents.tables["logs"] == len(logs)
    assert contents.tables["history"] == INITIAL_TYPES + 1 + sum(version for _, version, _ in logs)
    return len(logs)


@pytest.mark.proof(f"backup under {WRITERS} writers")
def test_a_backup_during_writes_is_a_committed_state(database_url, tmp_path, extent, record_counts):
    times = extent(short=3, long=20)
    permits, stop, database = threading.Semaphore(0), threading.Event(), Database(database_url)
    database.transact(lambda tx: records.create(tx, MACHINES, MachineCreate(name="Press"), ChangeContext(via="test")))
    writers = [Writer(database_url, permits, stop) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    sizes = []
    try:
        for number in range(times):
            acknowledged = {name for writer in writers for name in list(writer.acknowledged)}
            # Without a limit, each backup would take longer than the last, and meanwhile even more logs be written.
            permits.release(LOGS_DURING_BACKUP)
            backup.save(database, tmp_path / f"{number}.db", replace=False, progress=ignore_progress)
            sizes.append(check(tmp_path / f"{number}.db", f"sqlite:///{tmp_path / f'{number}-back.db'}", acknowledged))
    finally:
        stop.set()
        permits.release(WRITERS)
        for writer in writers:
            writer.join()
        database.close_writer()
    assert sizes == sorted(set(sizes)), "no log was written between the backups"
    record_counts(times, logs_in_last_backup=sizes[-1], inconsistent=0, acknowledged_but_missing=0)
