"""The options of a run, from the environment and the command line."""

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
QUICK_RUN_ROWS = 100_000
# Write benchmarks use copies of a file with at most this many logs.
MAX_WRITE_ROWS = 1_000_000


class MeasurementError(Exception):
    """A measurement is not possible or not valid; the message says why."""


class NotImplementedYet(MeasurementError):
    """The server does not have this path."""


@dataclass(frozen=True)
class Options:
    """The options of one run: the number of logs, the folder of the files, the length of each measurement."""

    rows: int
    folder: Path
    rounds: int
    seconds: float
    only: tuple[str, ...]

    @property
    def is_quick_run(self) -> bool:
        """Whether this is a quick run with short measurements and few repetitions."""
        return self.rows <= QUICK_RUN_ROWS

    @property
    def write_rows(self) -> int:
        """The number of logs in the file that write benchmarks copy."""
        return min(self.rows, MAX_WRITE_ROWS)


def read(only: list[str]) -> Options:
    """Read the options: ROWS, ROUNDS, SECONDS and BENCH_DATA from the environment, and the names of sections."""
    rows = int(os.environ.get("ROWS", "10000").replace("_", "").replace(",", ""))
    sections = only or os.environ.get("ONLY", "").replace(",", " ").split()
    return Options(
        rows=rows,
        folder=Path(os.environ.get("BENCH_DATA") or HERE / "data").absolute(),
        rounds=int(os.environ.get("ROUNDS", "4")),
        seconds=float(os.environ.get("SECONDS", "0.12" if rows <= QUICK_RUN_ROWS else "3")),
        only=tuple(sections),
    )
