"""The hash chain: each history entry contains the SHA-256 of itself and of the previous entry's hash.

Editing, removing or reordering entries is therefore detected (tamper evidence). Truncating the end is not: for that,
compare with a head that `mm backup` or `mm verify` printed earlier. See docs/internals/hash-chain.md.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, insert, literal_column, select

from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.models import HISTORY
from machine_monitor.query.language.folding import fold

CHUNK_SIZE = 5_000
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
    """Append entries to the chain. Holds the history lock until commit, so that numbers follow commit order."""
    tx.acquire_history_lock()
    last, previous_hash = head(tx)
    rows = []
    for seq, entry in enumerate(entries, last + 1):
        previous_hash = _entry_hash(previous_hash, seq, entry)
        row = entry._asdict() | {"seq": seq, "hash": previous_hash, "at": tx.engine.to_db(entry.at, TIME)}
        row["note_folded"] = None if entry.note is None else fold(entry.note)
        rows.append(row)
    tx.execute_many(_insert_statement(tx.engine), rows)


def head(tx: Transaction) -> Head:
    """Return the last entry's number and hash."""
    rows = tx.execute(_last_statement(tx.engine), {})
    return Head(rows[0][0], bytes(rows[0][1] or b"")) if rows else Head(0, b"")


def head_hash() -> ColumnElement:
    """Return the SQL for the hash of the head, which names the state of all records; null in an empty history."""
    table = HISTORY.table
    return select(table.c.hash).order_by(table.c.seq.desc()).limit(literal_column("1")).scalar_subquery()


def verify(tx: Transaction, expected: Head | None = None, progress: Progress | None = None) -> list[str]:
    """Verify the whole chain and return a sentence for each break; `expected` is a head that it must contain."""
    broken, last, previous_hash, contains_expected = [], 0, b"", expected is None or expected.seq == 0
    total = tx.execute(_count(tx.engine), {})[0][0]
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
def _count(engine: Engine) -> Statement:
    return compile_statement(engine, select(func.count()).select_from(HISTORY.table))


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
