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
    """How the importer treats a table.

    - `zone`: the time zone of local times in a table of ours; a mapping names its own.
    - `dry_run`: report what an import would do, and write nothing.
    - `new`: a log without a `uuid` becomes a new log, which the same row finds again.
    - `absent`: what an update does with fields that the table does not have: keep what is stored, or reset them.
    - `overwrite`: whether an import overwrites records that users have edited since their import.
    - `date_missing`: the start of logs without one; by default the importer refuses their rows.
    - `rejected`: the file that gets the refused rows.
    - `role`: the role of the importing user, who cannot give anybody a higher one.
    - `manages_users`: whether the importing user may create and change users.
    - `user`: the importing user, whom the history names; None for the command line.
    - `warn`: the run calls it with a sentence about what it undid after a failure.
    - `progress`: the run calls it with (done, total) after each transaction.
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
    manages_users: bool = True
    warn: Callable[[str], None] = field(default=_ignore_warning)
    progress: Callable[[int, int], None] = field(default=_ignore_progress)
