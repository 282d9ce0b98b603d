"""Generates the query strings of the benchmark: many different ones of each kind, for a seeded file."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random
from urllib.parse import urlencode

from benchmarks import data

YEARS = 5 * 365 * data.DAY
NEWEST = "/logs?limit=50"


class QueryGenerator:
    """Generates query strings whose values occur in a file; the same seed gives the same query strings."""

    def __init__(self, path: Path, seed: int = 2) -> None:
        self.rng = Random(seed)
        self.words = data.vocabulary()
        with closing(sqlite3.connect(path)) as connection:
            (self.last,) = connection.execute("SELECT max(id) FROM logs").fetchone()
            chosen = [self.rng.randint(1, self.last) for _ in range(500)]
            query = """SELECT logs.uuid, logs.type, machines.name, logs.started_at
                FROM logs JOIN machines ON machines.id = logs.machine_id WHERE logs.id = ?"""
            self.sample = [connection.execute(query, (number,)).fetchone() for number in chosen]

    def single_logs(self) -> list[str]:
        """Return the paths of single logs."""
        return [f"/logs/{uuid}" for uuid, *_ in self.sample]

    def newest(self) -> list[str]:
        """Return the path of the newest logs."""
        return [NEWEST]

    def filtered(self) -> list[str]:
        """Return paths of lists by type, machine and a range of five years; each list has at least one log."""
        return [f"/logs?{self._filter(*row)}&limit=50" for _, *row in self.sample]

    def query_strings(self, case: str, count: int) -> list[str]:
        """Return `count` query strings of one kind."""
        return [CASES[case](self) for _ in range(count)]

    def _filter(self, kind: str, machine: str, started_at: str) -> str:
        at = datetime.fromisoformat(f"{started_at}+00:00").timestamp()
        first = max(data.START, at - self.rng.random() * YEARS)
        range_ = {"started_at__gte": data.text_of(first), "started_at__lt": data.text_of(first + YEARS)}
        return urlencode({"type": kind, "machine": machine, **range_})

    def random_filter(self) -> str:
        """Return a filter by type, machine and range."""
        _, *row = self.rng.choice(self.sample)
        return self._filter(*row)

    def random_word(self) -> str:
        """Return a random word. Each order of magnitude of frequency is equally likely; one in twenty is in no log."""
        if self.rng.random() < 0.05:
            return f"absent{self.rng.getrandbits(20)}"
        return self.words[int(len(self.words) ** self.rng.random()) - 1]


def _search(*kinds: str) -> Callable[[QueryGenerator], str]:
    def query_string(generator: QueryGenerator) -> str:
        given = {"q": " ".join(generator.random_word() for kind in kinds if kind == "word")}
        if "machine" in kinds:
            given["machine"] = generator.rng.choice(generator.sample)[2]
        return urlencode(given)

    return query_string


CASES: dict[str, Callable[[QueryGenerator], str]] = {
    "newest": lambda _: "",
    "filtered": QueryGenerator.random_filter,
    "sector": lambda generator: urlencode({"machine.sector": generator.rng.choice(data.SECTORS)}),
    "q_one": _search("word"),
    "q_two": _search("word", "word"),
    "q_machine": _search("word", "machine"),
}
READS: dict[str, Callable[[QueryGenerator], Sequence[str]]] = {
    "one": QueryGenerator.single_logs,
    "page": QueryGenerator.newest,
    "filtered": QueryGenerator.filtered,
}
