"""Concurrent sign-in attempts are all counted."""

from concurrent.futures import ThreadPoolExecutor

from machine_monitor.database.connect import Database
from machine_monitor.services.accounts import rate_limit

COUNTERS = rate_limit.Counters("account x")


def register(tx):
    return rate_limit.register(tx, COUNTERS) is not None


def test_attempts_of_several_processes_are_all_counted(database_url):
    def attempts(_):
        database = Database(database_url)
        refused = [database.transact(register) for _ in range(5)]
        database.close_writer()
        return refused

    with ThreadPoolExecutor(4) as threads:
        refused = [result for results in threads.map(attempts, range(4)) for result in results]
    assert sorted(refused) == [False] * 10 + [True] * 10
