"""Statistics of the query planner are refreshed when a table has grown, but not after every small import."""

from machine_monitor.database.connect import Database
from machine_monitor.models import MACHINES
from machine_monitor.models.machine import MachineCreate
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext


def test_planner_statistics_are_updated_after_ten_percent_growth(sqlite_database_url):
    database = Database(sqlite_database_url)

    def add(tx, first: int, last: int) -> None:
        for number in range(first, last + 1):
            records.create(tx, MACHINES, MachineCreate(name=f"machine {number}"), ChangeContext(via="test"))

    there = 0
    for reached, estimate in ((100, 100), (109, 100), (112, 112)):
        database.transact(lambda tx, first=there + 1, last=reached: add(tx, first, last))
        there = reached
        database.analyze("machines")
        assert database.snapshot(lambda tx: tx.engine.estimated_row_count(tx.cursor, "machines")) == estimate
    database.close_writer()
