"""The options of an import."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from machine_monitor.services.access.permissions import Role


def _ignore_warning(_sentence: str) -> None:
    """Do nothing: the default of `ImportOptions.warn`."""


def _ignore_progress(_done: int, _total: int) -> None:
    """Do nothing: the default of `ImportOptions.progress`."""


@dataclass(frozen=True)
class ImportOptions:
    """How a table is imported.

    - `zone`: the time zone of local times in a table of ours; a mapping names its own.
    - `dry_run`: only report what would be done.
    - `new`: a log without a `uuid` becomes a new log, which the same row finds again.
    - `absent`: what fields that the table does not have do on update: they keep what is stored, or take their default.
    - `overwrite`: whether records that were edited here since their import are overwritten.
    - `date_missing`: the start of logs without one; without it they are refused.
    - `rejected`: a file for the rows that are refused.
    - `role`: who imports; nobody gives a user a higher role than their own.
    - `user`: whose entries the history has; None for the command line.
    - `warn`: called with a sentence about what was undone after a failure.
    - `progress`: called with (done, total) after each transaction.
    """

    zone: ZoneInfo
    dry_run: bool = False
    new: bool = False
    absent: Literal["keep", "reset"] = "keep"
    overwrite: bool = False
    date_missing: datetime | None = None
    rejected: Path | None = None
    user: str | None = None
    role: Role = Role.ADMIN
    warn: Callable[[str], None] = field(default=_ignore_warning)
    progress: Callable[[int, int], None] = field(default=_ignore_progress)
