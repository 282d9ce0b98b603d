"""What a run can choose, from the environment and the command line."""

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
GLANCE = 100_000
# Writes go to copies of a file of at most so many logs.
MAX_WRITTEN = 1_000_000


class Refused(Exception):
    """A measurement that cannot be made; its text says why."""


class Missing(Refused):
    """The server has no such path yet."""


@dataclass(frozen=True)
class Options:
    """One run: how many logs, where the files are, how long each measurement takes."""

    rows: int
    folder: Path
    rounds: int
    seconds: float
    only: tuple[str, ...]

    @property
    def glance(self) -> bool:
        """Whether the run is for a first look: short measurements, few repetitions."""
        return self.rows <= GLANCE

    @property
    def write_rows(self) -> int:
        """The size of the file that writes go to a copy of."""
        return min(self.rows, MAX_WRITTEN)


def read(only: list[str]) -> Options:
    """The options of this process: ROWS, ROUNDS, SECONDS, BENCH_DATA, and the sections named."""
    rows = int(os.environ.get("ROWS", "10000").replace("_", "").replace(",", ""))
    named = only or os.environ.get("ONLY", "").replace(",", " ").split()
    return Options(
        rows=rows,
        folder=Path(os.environ.get("BENCH_DATA") or HERE / "data").absolute(),
        rounds=int(os.environ.get("ROUNDS", "4")),
        seconds=float(os.environ.get("SECONDS", "0.12" if rows <= GLANCE else "3")),
        only=tuple(named),
    )
