"""The hash chain: each history entry contains the SHA-256 of itself and of the previous entry's hash.

Editing, removing or reordering entries is therefore detected (tamper evidence). Truncating the end is not: for that,
compare with a head that `mm backup` or `mm verify` printed earlier. See docs/internals/hash-chain.md.

One transaction at a time appends, from the end of its work to its commit, so that numbers follow commit order. In a
service on PostgreSQL, a transaction that finds another one appending does not wait: it leaves its entries in the table
`history_pending`, and the next one that appends seals them, which is to give them their numbers and hashes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Subquery, Table, bindparam, delete, func, insert, literal_column, select, union_all

from machine_monitor.database.engines import Engine, as_text, canonical_json
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.models import HISTORY, LOGS, PENDING_ENTRIES
from machine_monitor.query.language.folding import fold

CHUNK_SIZE = 5_000
# How many pending entries a transaction seals at a time.
MAX_SEALED = 1_000
# In `all_entries`, pending ones have higher numbers than this, in their order. No history gets so long.
FIRST_PENDING = 1 << 60
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
MAX_LISTED = 5
Progress = Callable[[int, int], None]


class HistoryEntry(NamedTuple):
    """The hashed content of a history entry; `changes` is the stored JSON text, `at` is in API format."""

    resource: str
    record_id: int
    key: str
    at: str
    user: str | None
    via: str
    request_id: str | None
    op: str
    version: int
    note: str | None
    changes: str


class Head(NamedTuple):
    """The last entry's number and hash; the hash covers all entries before it."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        """Format as `parse_head` takes it."""
        return f"{self.seq}:{self.hash.hex()}"


def parse_head(text: str) -> Head:
    """Parse a printed head; raises `UsageError`."""
    match = _HEAD.fullmatch(text)
    if match is None:
        form = "a number, a colon and 64 hexadecimal digits, as printed by `mm verify`"
        raise UsageError(f"'{text}' is not a head. Expected {form}.")
    return Head(int(match[1]), bytes.fromhex(match[2]))


def append(tx: Transaction, entries: Sequence[HistoryEntry]) -> None:
    """Append entries to the chain, after all that were pending, or leave them pending.

    Only entries of logs are left pending: other queries need those of machines, types, users and accounts at once.
    """
    may_leave = not entries or (tx.may_leave_pending and all(entry.resource == LOGS.name for entry in entries))
    holds_lock = tx.history_lock(wait=not may_leave)
    last_rows = tx.execute_later(_last_statement(tx.engine), {})
    pending = _take_pending(tx)
    if not holds_lock():
        _leave(tx, entries)
        return
    last = _head(last_rows())
    # An entry follows all that its transaction could see. So own ones are sealed after all that are pending.
    while pending:
        last = _append_after(tx, last, pending)
        if len(pending) == MAX_SEALED and may_leave:
            _leave(tx, entries)
            return
        pending = _take_pending(tx) if len(pending) == MAX_SEALED else []
    _append_after(tx, last, entries)


def seal(tx: Transaction) -> None:
    """Seal the pending entries at the end of the transaction, unless another transaction is appending."""
    tx.defer(_seal, None, last=True)


def _seal(tx: Transaction, _requests: Sequence[None]) -> None:
    append(tx, [])


def _take_pending(tx: Transaction) -> list[HistoryEntry]:
    """Remove the first pending entries and return them in order; none if the transaction does not hold the lock.

    The order of ids is right: an id is drawn before its transaction commits. So whatever a transaction could see has a
    lower id than its own entries.
    """
    rows = sorted(tx.execute(_take_pending_statement(tx.engine), {}))
    entries = [HistoryEntry(*content) for _, *content in rows]
    return [entry._replace(at=tx.engine.from_db(entry.at, TIME)) for entry in entries]


def _leave(tx: Transaction, entries: Sequence[HistoryEntry]) -> None:
    tx.left_pending.extend(entries)
    rows = [{**entry._asdict(), "at": tx.engine.to_db(entry.at, TIME)} for entry in entries]
    if rows:
        tx.execute_many(_leave_statement(tx.engine), rows)


def _append_after(tx: Transaction, last: Head, entries: Sequence[HistoryEntry]) -> Head:
    """Append entries after the head, and return the new head."""
    rows = []
    for entry in entries:
        last = Head(last.seq + 1, _entry_hash(last.hash, last.seq + 1, entry))
        row = entry._asdict() | {"seq": last.seq, "hash": last.hash, "at": tx.engine.to_db(entry.at, TIME)}
        row["note_folded"] = None if entry.note is None else fold(entry.note)
        rows.append(row)
    if rows:
        tx.execute_many(_insert_statement(tx.engine), rows)
    return last


def head(tx: Transaction) -> Head:
    """Return the last entry's number and hash."""
    return _head(tx.execute(_last_statement(tx.engine), {}))


def month_heads(tx: Transaction) -> dict[str, Head]:
    """Return the last entry of each month, such as 2026-11, in UTC: the head that the history had at its end."""
    rows = tx.execute(_month_heads_statement(tx.engine), {})
    return {month: Head(seq, bytes(digest or b"")) for month, seq, digest in rows}


def _head(rows: Sequence[Any]) -> Head:
    return Head(rows[0][0], bytes(rows[0][1] or b"")) if rows else Head(0, b"")


@cache
def all_entries() -> Subquery:
    """Return the SQL for all entries, those that are pending after those that have a number.

    For reading the history of given records: their conditions go into both parts of the union.
    """
    table, names = HISTORY.table, [name for name in HistoryEntry._fields if name != "changes"]
    sealed = select(table.c.seq, *[table.c[name] for name in names], as_text(table.c.changes).label("changes"))
    seq = (PENDING_ENTRIES.c.id + literal_column(str(FIRST_PENDING))).label("seq")
    pending = select(seq, *[PENDING_ENTRIES.c[name] for name in names], PENDING_ENTRIES.c.changes)
    return union_all(sealed, pending).subquery("entries")


def count_pending(tx: Transaction) -> int:
    """Return the number of pending entries."""
    return tx.execute(_count(tx.engine, PENDING_ENTRIES), {})[0][0]


def verify(tx: Transaction, expected: Head | None = None, progress: Progress | None = None) -> list[str]:
    """Verify the whole chain and return a sentence for each break; `expected` is a head that it must contain."""
    broken, last, previous_hash, contains_expected = [], 0, b"", expected is None or expected.seq == 0
    total = tx.execute(_count(tx.engine, HISTORY.table), {})[0][0]
    for done, (seq, entry, stored) in enumerate(_read_entries(tx), 1):
        if stored != _entry_hash(previous_hash, seq, entry):
            broken.append(seq)
        if expected is not None and seq == expected.seq:
            contains_expected = stored == expected.hash
        last, previous_hash = seq, stored or b""
        if progress is not None and (done % CHUNK_SIZE == 0 or done == total):
            progress(done, total)
    sentences = []
    if broken:
        listed = ", ".join(map(str, broken[:MAX_LISTED])) + (", ..." if len(broken) > MAX_LISTED else "")
        sentences.append(
            f"The hash chain is broken at {len(broken)} entries ({listed}): these, or the ones before, were altered. "
            "Compare with a backup: see docs/run/backup.md."
        )
    if not contains_expected:
        sentences.append(f"The history does not contain the expected head: it ends at entry {last}.")
    return sentences


def _entry_hash(before: bytes, seq: int, entry: HistoryEntry) -> bytes:
    return sha256(before + canonical_json([seq, *entry]).encode()).digest()


def _read_entries(tx: Transaction) -> Iterator[tuple[int, HistoryEntry, bytes | None]]:
    """Yield all entries in order, with their numbers and stored hashes."""
    after = 0
    while rows := tx.execute(_entries_after(tx.engine), {"after": after, "limit": CHUNK_SIZE}):
        for after, stored_hash, *content in rows:
            entry = HistoryEntry(*content)
            entry = entry._replace(at=tx.engine.from_db(entry.at, TIME))
            yield after, entry, None if stored_hash is None else bytes(stored_hash)


@cache
def _last_statement(engine: Engine) -> Statement:
    table = HISTORY.table
    one = select(table.c.seq, table.c.hash).order_by(table.c.seq.desc())
    return compile_statement(engine, one.limit(1))


@cache
def _month_heads_statement(engine: Engine) -> Statement:
    """Compile: the last entry of each month. An entry whose time is earlier, such as an imported edit, begins none."""
    table = HISTORY.table
    reached = func.max(engine.to_portable_expr(table.c.at)).over(order_by=table.c.seq)
    months = select(
        table.c.seq, func.substr(reached, literal_column("1"), literal_column("7")).label("month")
    ).subquery()
    last = select(months.c.month, func.max(months.c.seq).label("seq")).group_by(months.c.month).subquery()
    query = select(last.c.month, table.c.seq, table.c.hash).join_from(last, table, table.c.seq == last.c.seq)
    return compile_statement(engine, query.order_by(last.c.month))


@cache
def _take_pending_statement(engine: Engine) -> Statement:
    """Compile: remove the first pending entries, if the transaction holds the lock; rows of (id, entry), unordered."""
    table = PENDING_ENTRIES
    first = select(table.c.id).where(engine.holds_history_lock()).order_by(table.c.id)
    first = first.limit(literal_column(str(MAX_SEALED)))
    content = [table.c[name] for name in HistoryEntry._fields]
    return compile_statement(engine, delete(table).where(table.c.id.in_(first)).returning(table.c.id, *content))


@cache
def _leave_statement(engine: Engine) -> Statement:
    table = PENDING_ENTRIES
    values: dict[Any, Any] = {name: bindparam(name, type_=table.c[name].type) for name in HistoryEntry._fields}
    return compile_statement(engine, insert(table).values(values))


@cache
def _count(engine: Engine, table: Table) -> Statement:
    return compile_statement(engine, select(func.count()).select_from(table))


@cache
def _entries_after(engine: Engine) -> Statement:
    table = HISTORY.table
    after, limit = (bindparam(name, type_=INTEGER.column_type) for name in ("after", "limit"))
    content = [table.c[name] for name in HistoryEntry._fields]
    query = select(table.c.seq, table.c.hash, *content).where(table.c.seq > after).order_by(table.c.seq)
    return compile_statement(engine, query.limit(limit))


@cache
def _insert_statement(engine: Engine) -> Statement:
    values: dict[Any, Any] = {column: bindparam(column.name, type_=column.type) for column in HISTORY.table.columns}
    return compile_statement(engine, insert(HISTORY.table).values(values))
