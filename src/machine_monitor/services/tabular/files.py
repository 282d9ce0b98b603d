"""Exports that go into a file, which is there when it is whole and not before."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.query.language.parser import ListQuery, parse_export_query, parse_query_string
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.schema import Resource
from machine_monitor.services.tabular.exports import FORMATS, Export, Format


@dataclass(frozen=True)
class Wish:
    """What is wanted, as a person types it: `query` has the grammar of a URL; raises `UsageError` if it cannot be."""

    target: Path
    resource: Resource
    query: str = ""
    dialect: str | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        if self.target.suffix.lower().removeprefix(".") not in FORMATS:
            names = ", ".join(f".{suffix}" for suffix in FORMATS)
            raise UsageError(f"{self.target}: name a file that ends with one of {names}, or say --legacy for a folder.")
        if self.target.is_dir() or (self.target.exists() and not self.replace):
            raise UsageError(f"{self.target} is there already: say --force to replace a file.")

    @property
    def form(self) -> Format:
        """The format that the file's name asks for."""
        return FORMATS[self.target.suffix.lower().removeprefix(".")]

    def list_query(self, clock: TimeContext) -> ListQuery:
        """Which records; raises the 4xx that a URL would get. Records in order of time come oldest first."""
        pairs = parse_query_string(self.query.removeprefix("?").encode(errors="surrogateescape"))
        if self.dialect is not None:
            pairs.append(("dialect", self.dialect))
        if self.resource.search_follows_time and "sort" not in dict(pairs):
            pairs.append(("sort", self.resource.tiebreakers[0]))
        return parse_export_query(self.resource, pairs, clock, dialects=self.form.has_dialects)


async def save(database: Database, wish: Wish, clock: TimeContext, progress: Callable[[int, int], None]) -> int:
    """Write a file; how many records it has. `progress` is told how many of how many on the way."""
    query, written = wish.list_query(clock), 0
    await database.open()
    try:
        total = await Export(database, query, clock.zone).count()

        def count(rows: int) -> None:
            nonlocal written
            written += rows
            progress(written, total)

        await _write(wish, Export(database, query, clock.zone, count))
    except OSError as error:
        raise UsageError(f"{wish.target} cannot be written: {error.strerror}.") from error
    finally:
        await database.close()
    return written


async def _write(wish: Wish, export: Export) -> None:
    partial = wish.target.with_name(f"{wish.target.name}.partial")
    try:
        with partial.open("wb") as file:
            async with aclosing(wish.form.write(export)) as parts:
                async for part in parts:
                    file.write(part)
        partial.replace(wish.target)
    finally:
        partial.unlink(missing_ok=True)
