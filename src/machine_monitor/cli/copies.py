"""Commands that back up, restore and copy the whole database."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from machine_monitor.cli import site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from machine_monitor.services.backup.manifest import Manifest
    from machine_monitor.services.backup.transfer import Contents

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write. Its manifest is FILE.json.", show_default=False)
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing backup.")] = False,
    as_json: Json = False,
) -> None:
    """Back up the whole database to an SQLite file, and verify it. Works while the service is running.

    The backup is a consistent snapshot, also of a PostgreSQL database.
    Attachments are copied to the folder FILE.files, each once: a second backup to FILE copies only new ones.
    A backup under another name in the same folder shares the files that both have, as hard links.
    Keep the printed head: `mm verify --head` checks that a history still contains it.
    """
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.services import backup as backups
    from machine_monitor.services.files.store import store_of

    settings = config.load()
    with site.database_at(settings.database_url) as database, site.exit_on_sigterm(), bar("Saving") as progress:
        store = store_of(settings.files, database.url)
        saved = backups.save(database, file, replace=force, progress=progress, store=store)
    _print(saved, as_json=as_json)


def restore(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The backup. Its manifest FILE.json must be in the same folder.", show_default=False
        ),
    ],
    accept_differences: Annotated[
        bool,
        typer.Option("--accept-differences", help="Restore a backup whose records differ from their history."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into the configured database, which must be empty. An older backup is migrated.

    Attachments are copied from the folder FILE.files beside the backup.
    The records of the backup are first compared with their history, as `mm verify` does.
    """
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.database import database_urls
    from machine_monitor.services import backup as backups
    from machine_monitor.services.files.store import store_of

    settings = config.load()
    url = database_urls.parse(settings.database_url)
    with site.exit_on_sigterm(), bar("Restoring") as progress:
        store = store_of(settings.files, url)
        contents = backups.restore(file, url, progress, accept_differences=accept_differences, store=store)
    _print(contents, as_json=as_json, not_restored=contents.not_restored)


def copy(
    source: Annotated[
        str, typer.Argument(metavar="SRC_URL", help="The URL of the database to copy.", show_default=False)
    ],
    destination: Annotated[
        str, typer.Argument(metavar="DST_URL", help="The URL of an empty database.", show_default=False)
    ],
    files: Annotated[
        str,
        typer.Option(help="The folder for the copies of the attachments. Default: beside the SQLite file of DST_URL."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Copy a database into an empty one, SQLite or PostgreSQL, and compare them. Works while the service is running.

    Attachments are copied from the folder MM_FILES, or from that beside the SQLite file. If there are any, --files is
    required where MM_FILES is set or DST_URL is of PostgreSQL.
    """
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.database import database_urls
    from machine_monitor.services import backup as backups
    from machine_monitor.services.files.store import store_of

    given, target = database_urls.parse(source, "SRC_URL"), database_urls.parse(destination, "DST_URL")
    folder = config.load().files
    stores = backups.Stores(store_of(folder, given), store_of(files or folder, target))
    with site.database_at(given) as database, site.exit_on_sigterm(), bar("Copying") as progress:
        contents = backups.copy(database, target, progress, stores)
    _print(contents, as_json=as_json)


def _missing_files(contents: "Contents | Manifest") -> list[str]:
    """Print how many attachments there are; return a sentence about those that could not be copied."""
    from machine_monitor.services.backup.manifest import Manifest
    from machine_monitor.services.files.upkeep import CopiedFiles

    if isinstance(contents, Manifest):
        copied = CopiedFiles(contents.files, contents.file_bytes, missing=contents.missing_files)
    else:
        copied = contents.files
    if copied.files:
        typer.echo(f"Attachments: {copied.files} ({copied.bytes:,} bytes)", err=True)
    return copied.faults


def _print(contents: "Contents | Manifest", *, as_json: bool, not_restored: "Sequence[str]" = ()) -> None:
    """Print the contents of a copy; exit 1 if records differ from their history, or if schema objects were left out."""
    if as_json:
        typer.echo(json.dumps(contents.to_dict(), ensure_ascii=False, indent=1))
    else:
        for table, count in contents.tables.items():
            typer.echo(f"{table:24} {count}")
        typer.echo(f"head {contents.head}")
    missing = _missing_files(contents)
    for fault in [*contents.faults, *missing, *not_restored]:
        typer.secho(fault, fg="red", err=True)
    if not_restored:
        typer.echo("The restored database has the schema of this version, without these differences.", err=True)
    raise typer.Exit(1 if contents.faults or missing or not_restored else 0)
