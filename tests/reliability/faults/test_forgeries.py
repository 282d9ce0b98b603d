"""`mm verify` finds and names what was changed by SQL: every column that clients can read, rows, and the schema."""

import random
from contextlib import closing

import pytest

from machine_monitor.services.checks import verify
from services.backup.full_database import fill, verify_database
from services.checks.forgeries import Forger, random_forgery


@pytest.mark.proof("a record or the schema changed by SQL, found and named by `mm verify`")
async def test_random_forgeries_are_found_and_named(database_url, extent, record_counts):
    await fill(database_url)
    assert verify_database(database_url).faults == []
    times, rng = extent(short=200, long=2_000), random.Random(1)
    with closing(Forger(database_url)) as forger:
        for number in range(times):
            with forger.transaction() as tx:
                forgery = random_forgery(tx, rng, number)
                for statement in forgery.statements:
                    tx.cursor.execute(statement)
                faults = verify.inspect(tx).faults
            assert any(all(word in fault for word in forgery.words) for fault in faults), (forgery, faults)
            assert not any(verify.REBUILD in fault for fault in faults)
    assert verify_database(database_url).faults == []
    record_counts(times, found=times)
