"""Commands for the files of attachments."""

import json
import re
import time
from typing import Annotated

import typer

from machine_monitor.cli import site
from machine_monitor.errors import UsageError

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d{1,6})\s*([mhdw])")


def prune(
    older: Annotated[
        str,
        typer.Option(help="Remove only files that were last added longer ago than this: a number with m, h, d or w."),
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be removed; remove nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Remove files that belong to no record: those of attachments that were removed, and of failed uploads.

    Files of deleted logs stay: such a log can be restored. Works while the service is running.
    """
    from machine_monitor.services.files import upkeep
    from machine_monitor.services.files.store import store_of

    match = _AGE.fullmatch(older.strip())
    if match is None:
        raise UsageError(f"--older must be a number with {', '.join(UNITS)}, such as 30d; not '{older}'.")
    seconds = int(match[1]) * UNITS[match[2]]
    with site.open_existing_database() as (settings, database):
        store = store_of(settings.files, database.url)
        if store is None:
            raise UsageError("There is no folder for attachments: set MM_FILES.")
        removed = upkeep.prune(database, store, time.time() - seconds, dry_run=dry_run)
    size = sum(file.size for file in removed)
    if as_json:
        typer.echo(json.dumps({"files": [file.digest for file in removed], "bytes": size}, indent=1))
        return
    done = "Files that would be removed" if dry_run else "Files removed"
    typer.echo(f"{done}: {len(removed)} ({size:,} bytes).")
