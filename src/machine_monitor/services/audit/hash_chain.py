"""The chain: each entry of the history carries a hash of itself and of the one before it.

Whoever edits, removes or reorders entries breaks it. Who cuts its end does not: for that, compare with a head that was
printed before (`mm backup`, `mm verify`).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select

from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.models import HISTORY
from machine_monitor.query.language.search_terms import fold

READ_AT_ONCE = 5_000
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
SHOWN = 5
Progress = Callable[[int, int], None]


class HistoryEntry(NamedTuple):
    """What an entry says; `changes` is the very text that is kept, `at` an instant as the API shows it."""

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
    """The last entry: its number, and its hash, which stands for all that came before."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        """As it is printed, and read by `parse_head`."""
        return f"{self.seq}:{self.hash.hex()}"


def parse_head(text: str) -> Head:
    """A head that was printed; raises `UsageError`."""
    found = _HEAD.fullmatch(text)
    if found is None:
        raise UsageError("A head is a number, a colon and 64 hexadecimal digits, as `mm verify` prints it.")
    return Head(int(found[1]), bytes.fromhex(found[2]))


def append(tx: Transaction, entries: Sequence[HistoryEntry]) -> None:
    """Add entries to the chain. Nobody else adds any until the transaction ends, so numbers follow the commits."""
    tx.acquire_history_lock()
    last, link = head(tx)
    rows = []
    for seq, entry in enumerate(entries, last + 1):
        link = _entry_hash(link, seq, entry)
        row = entry._asdict() | {"seq": seq, "hash": link, "at": tx.engine.to_db(entry.at, TIME)}
        row["note_folded"] = None if entry.note is None else fold(entry.note)
        rows.append(row)
    tx.execute_many(_insert(tx.engine), rows)


def head(tx: Transaction) -> Head:
    """The end of the chain."""
    rows = tx.execute(_last(tx.engine), {})
    return Head(rows[0][0], bytes(rows[0][1] or b"")) if rows else Head(0, b"")


def verify(tx: Transaction, known: Head | None = None, progress: Progress | None = None) -> list[str]:
    """What is wrong with the history, a sentence each; `known` is a head that it must still contain."""
    broken, last, link, found = [], 0, b"", known is None or known.seq == 0
    total = tx.execute(_count(tx.engine), {})[0][0]
    for done, (seq, entry, kept) in enumerate(_entries(tx), 1):
        if kept != _entry_hash(link, seq, entry):
            broken.append(seq)
        if known is not None and seq == known.seq:
            found = kept == known.hash
        last, link = seq, kept or b""
        if progress is not None and (done % READ_AT_ONCE == 0 or done == total):
            progress(done, total)
    sentences = []
    if broken:
        shown = ", ".join(map(str, broken[:SHOWN])) + (", ..." if len(broken) > SHOWN else "")
        sentences.append(f"The history was changed at {len(broken)} entries, or just before them: {shown}.")
    if not found:
        sentences.append(f"The history does not contain the given head: it ends at {last}.")
    return sentences


def _entry_hash(before: bytes, seq: int, entry: HistoryEntry) -> bytes:
    return sha256(before + canonical_json([seq, *entry]).encode()).digest()


def _entries(tx: Transaction) -> Iterator[tuple[int, HistoryEntry, bytes | None]]:
    """All entries in their order, with the hash that each carries."""
    after = 0
    while rows := tx.execute(_entries_after(tx.engine), {"after": after, "limit": READ_AT_ONCE}):
        for after, link, *said in rows:
            entry = HistoryEntry(*said)
            yield after, entry._replace(at=tx.engine.from_db(entry.at, TIME)), None if link is None else bytes(link)


@cache
def _last(engine: Engine) -> Statement:
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
    said = [table.c[name] for name in HistoryEntry._fields]
    query = select(table.c.seq, table.c.hash, *said).where(table.c.seq > after).order_by(table.c.seq)
    return compile_statement(engine, query.limit(limit))


@cache
def _insert(engine: Engine) -> Statement:
    values: dict[Any, Any] = {column: bindparam(column.name, type_=column.type) for column in HISTORY.table.columns}
    return compile_statement(engine, insert(HISTORY.table).values(values))
