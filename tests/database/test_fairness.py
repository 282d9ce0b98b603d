"""Users share what is limited: they are served in turns, and one has at most half of it while others wait."""

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from machine_monitor import fairness
from machine_monitor.database import batches, connect, streams
from machine_monitor.database.engines.postgresql import readers
from machine_monitor.database.statements import Statement
from machine_monitor.errors import DatabaseBusy, QueryTimeout
from machine_monitor.fairness import FairQueue, FairSemaphore, FairTurns

ENDLESS = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) FROM s"
NUMBERS = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000) SELECT n FROM s"


def statement(sql):
    """A statement that SQLite runs in a thread."""
    return Statement(sql, (), {}, uses_fulltext=True)


async def settle():
    """Let every task run until it has to wait."""
    for _ in range(10):
        await asyncio.sleep(0)


def hold_all(semaphore, user):
    """Take every slot that is free for a user; return how many."""
    return sum(1 for _ in range(semaphore.capacity) if semaphore.try_acquire(user))


def test_a_queue_takes_one_item_of_each_user_in_turn():
    queue = FairQueue()
    for user, item in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("c", 6)]:
        queue.add(user, item)
    queue.discard("c", 6)
    queue.discard("b", 7)
    assert [queue.take()[1] for _ in range(len(queue))] == [1, 4, 5, 2, 3]
    assert queue.users == []


def test_a_lone_user_has_every_slot_and_another_still_has_half():
    semaphore = FairSemaphore(4)
    assert [hold_all(semaphore, user) for user in ("a", "b", "c")] == [4, 2, 0]
    assert semaphore.utilization == (semaphore.capacity, 0) == (6, 0)
    semaphore.release("b")
    assert [hold_all(semaphore, user) for user in ("a", "c")] == [0, 1]


class Starts:
    """Tasks of users who take turns, and which of them have started in each iteration of the event loop."""

    def __init__(self):
        self._turns = FairTurns()
        self._started = ""

    def create(self, users):
        return [asyncio.create_task(self._start(user)) for user in users]

    async def iterations(self):
        """Return the users whose tasks start from now on, one string for each iteration in which some do."""
        found = []
        for _ in range(10):
            await asyncio.sleep(0)
            found.append(self._started)
            self._started = ""
        return [*filter(None, found)]

    async def _start(self, user):
        await self._turns.wait_for_turn(user)
        self._started += user


async def test_each_user_starts_one_task_in_an_iteration():
    starts = Starts()
    starts.create("baaaabc")
    # The first `b` starts while it is alone, which does not count as its turn.
    assert await starts.iterations() == ["babc", "a", "a", "a"]


async def test_a_cancelled_task_takes_no_turn():
    starts = Starts()
    tasks = starts.create("baaa")
    await asyncio.sleep(0)
    tasks[2].cancel()
    assert await starts.iterations() == ["ba", "a"]


async def test_a_lone_user_starts_all_tasks_at_once(monkeypatch):
    starts = Starts()
    starts.create("aaaa")
    assert await starts.iterations() == ["aaaa"]
    starts.create("baaaa")
    await asyncio.sleep(0)
    monkeypatch.setattr(fairness, "ALONE_SECONDS", 0)
    assert await starts.iterations() == ["ba", "aaa"]


@pytest.mark.parametrize(("slots", "shares"), [(1, [1, 0]), (2, [2, 1]), (5, [5, 2])])
def test_few_or_odd_slots_are_shared_too(slots, shares):
    semaphore = FairSemaphore(slots)
    assert [hold_all(semaphore, user) for user in "ab"] == shares


async def test_waiting_users_are_served_in_turns_and_last_who_has_half():
    semaphore, served = FairSemaphore(4), []

    async def wait(user):
        await semaphore.acquire(user)
        served.append(user)

    assert [hold_all(semaphore, user) for user in "ab"] == [4, 2]
    waiting = [asyncio.create_task(wait(user)) for user in "aaabbcccdd"]
    await settle()
    assert served == []
    # `a` gives back what it has borrowed: it still has half, so that nothing becomes free.
    for _ in range(2):
        semaphore.release("a")
        await settle()
    assert served == []
    for user in "bbaacd":
        semaphore.release(user)
        await settle()
    # Each time the next user in turn who holds less than half: `b` is the first, then it waits behind `c`.
    assert "".join(served) == "bcadbc"
    for task in waiting:
        task.cancel()


async def test_a_waiting_user_below_half_comes_before_one_who_has_half():
    semaphore = FairSemaphore(4)
    held = [hold_all(FairSemaphore(4), "a"), *[semaphore.try_acquire(user) for user in "aabb"]]
    assert held == [4, True, True, True, True]
    order = []

    async def wait(user):
        await semaphore.acquire(user)
        order.append(user)

    waiting = [asyncio.create_task(wait(user)) for user in "ab"]
    await settle()
    semaphore.release("b")
    await settle()
    assert order == ["b"]
    for task in waiting:
        task.cancel()


async def test_a_cancelled_or_impatient_waiter_leaves_its_place():
    semaphore = FairSemaphore(1)
    await semaphore.acquire("a")
    with pytest.raises(DatabaseBusy):
        async with semaphore.slot("b", 0.01):
            pytest.fail("there is no slot")
    assert semaphore.utilization == (1, 0)
    waiting = asyncio.create_task(semaphore.acquire("b"))
    await settle()
    # Cancelled at the same time as it is served.
    semaphore.release("a")
    waiting.cancel()
    await settle()
    assert semaphore.utilization == (0, 0)
    async with semaphore.slot("c", 0.01):
        assert semaphore.held_by("c") == 1


@given(st.integers(1, 7), st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=60))
@example(3, [(user, True) for user in "aaaccbb"])
def test_no_order_of_requests_breaks_the_rules(slots, steps):
    semaphore, held = FairSemaphore(slots), Counter()
    for user, is_request in steps:
        if is_request:
            others = sum(min(count, (slots + 1) // 2) for other, count in held.items() if other != user)
            taken = semaphore.try_acquire(user)
            assert taken == (others + held[user] < slots)
            held[user] += taken
        elif held[user]:
            semaphore.release(user)
            held[user] -= 1
        assert semaphore.utilization == (held.total(), 0)
        assert held.total() <= semaphore.capacity
    assert {user: semaphore.held_by(user) for user in held} == dict(held)


def test_a_server_on_the_same_machine_has_no_more_readers_than_processors(monkeypatch):
    monkeypatch.setattr(readers, "LOCAL_READERS", 2)
    for name in readers.HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    local = ["dbname=a", "host=/run/postgresql", "host=localhost", "host=127.0.0.1", "host=::1", "host=/a,localhost"]
    assert {readers.count_readers(conninfo) for conninfo in local} == {2}
    distant = ["host=db", "host=192.168.1.2", "host=localhost,db", "host=localhost hostaddr=10.0.0.5", "service=plant"]
    assert {readers.count_readers(conninfo) for conninfo in distant} == {readers.READERS}
    monkeypatch.setenv("PGHOST", "db")
    assert readers.count_readers("dbname=a") == readers.READERS


async def test_endless_queries_of_one_user_do_not_keep_out_another(database, monkeypatch):
    monkeypatch.setattr(connect, "WAIT_SECONDS", 60)
    greedy, other = database.for_user("a"), database.for_user("b")
    slots = database._driver.readers
    endless = [asyncio.create_task(greedy.fetch(statement(ENDLESS), {})) for _ in range(2 * slots)]
    await settle()
    assert database.utilization()["read"] == (slots, slots)
    for _ in range(3):
        assert [tuple(row) for row in await other.fetch(statement("SELECT 1"), {})] == [(1,)]
    assert database.utilization()["read"] == (slots, slots)
    assert not any(task.done() for task in endless)
    for task in endless:
        task.cancel()
    outcomes = await asyncio.gather(*endless, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {asyncio.CancelledError, QueryTimeout}


async def test_after_computing_a_user_rests_as_long_unless_it_is_alone(database, monkeypatch):
    greedy, other, finished = database.for_user("a"), database.for_user("b"), []

    async def run(user, name):
        await user.compute(time.sleep, 0.2)
        finished.append(name)

    async def run_all():
        await run(greedy, "first")
        await asyncio.gather(run(greedy, "second"), run(other, "other"))

    database.note_request("b")
    await run_all()
    assert finished == ["first", "other", "second"]
    monkeypatch.setattr(fairness, "ALONE_SECONDS", 0)
    await run_all()
    assert finished[3:] == ["first", "second", "other"]


async def test_stalled_streams_of_one_user_do_not_keep_out_another(database):
    def open_stream(user):
        return database.for_user(user).stream(statement(NUMBERS), {}, lambda chunks: map(len, chunks))

    stalled = [open_stream("a") for _ in range(streams.MAX_STREAMS)]
    for stream in stalled:
        assert await anext(stream) > 0
    assert sum([rows async for rows in open_stream("b")]) == 5000
    for stream in stalled:
        await stream.aclose()
    assert database.utilization()["stream"] == (0, 0)


async def test_a_batch_takes_one_unit_of_each_user_in_turn(database, monkeypatch):
    monkeypatch.setattr(batches, "MAX_BATCH_RECORDS", 3)
    written = []

    def unit(name):
        return lambda _: written.append(name)

    names = ["a1", "a2", "a3", "a4", "a5", "b1", "c1", "c2"]
    await asyncio.gather(*[database.for_user(name[0]).write(unit(name)) for name in names])
    # Without savepoints a batch may run twice; here no unit fails.
    assert written == ["a1", "b1", "c1", "a2", "c2", "a3", "a4", "a5"]


async def test_nobody_waits_for_several_bulk_writes_of_another(database, monkeypatch):
    sizes, run = [], database._batches._run
    monkeypatch.setattr(database._batches, "_run", lambda units: sizes.append(len(units)) or run(units))
    greedy, other = database.for_user("a"), database.for_user("b")
    order = []

    async def write(user, name, records):
        await user.write(lambda _: None, records)
        order.append(name)

    await asyncio.gather(*[write(greedy, "bulk", 1_000) for _ in range(3)], *[write(other, "log", 1) for _ in range(2)])
    assert order == ["bulk", "log", "bulk", "log", "bulk"]
    assert sizes == [1, 2, 2]


async def test_a_user_who_fills_the_write_queue_does_not_keep_out_another(database, monkeypatch):
    monkeypatch.setattr(database._batches, "_slots", FairSemaphore(4))
    users = "aaaaaabbbc"
    outcomes = await asyncio.gather(
        *[database.for_user(user).write(lambda _: "done") for user in users], return_exceptions=True
    )
    done = "".join(user for user, outcome in zip(users, outcomes, strict=True) if outcome == "done")
    assert done == "aaaabb"
    assert {type(outcome) for outcome in outcomes if outcome != "done"} == {DatabaseBusy}


async def test_computing_takes_one_thread_and_turns_of_users(database):
    running, most = set(), []

    def compute(name):
        running.add(name)
        most.append(len(running))
        running.discard(name)
        return name

    names = ["a1", "a2", "a3", "b1"]
    finished = []

    async def run(name):
        finished.append(await database.for_user(name[0]).compute(compute, name))

    await asyncio.gather(*[run(name) for name in names])
    assert (finished, max(most)) == (["a1", "a2", "b1", "a3"], 1)


async def test_a_read_in_a_thread_takes_a_slot(database):
    assert await database.read(lambda _: database.utilization()["read"]) == (1, 0)
