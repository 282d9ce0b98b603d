"""Commands about the whole database: saved to a file, brought back, moved to another place."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from machine_monitor.cli import site

if TYPE_CHECKING:
    from machine_monitor.services.backup.manifest import Manifest
    from machine_monitor.services.backup.transfer import Contents

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; its manifest is FILE.json.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace a backup that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write all there is, as of one moment, to a checked SQLite file, whichever the engine; others may write meanwhile.

    Keep the head that is printed: `mm verify --head` tells whether a history still contains it.
    """
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.services import backup as backups

    with site.at(config.load().database_url) as database, site.stoppable(), bar("Saving") as progress:
        saved = backups.save(database, file, replace=force, progress=progress)
    _print(saved, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup, with its manifest beside it.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Bring a backup back as the configured database, which must be empty; one of an older version is migrated."""
    from machine_monitor import config
    from machine_monitor.cli.progress import bar
    from machine_monitor.database import database_urls
    from machine_monitor.services import backup as backups

    url = database_urls.parse(config.load().database_url)
    with site.stoppable(), bar("Restoring") as progress:
        held = backups.restore(file, url, progress)
    _print(held, as_json=as_json)


def copy(
    source: Annotated[str, typer.Argument(metavar="SRC_URL", help="Where the records are.", show_default=False)],
    destination: Annotated[str, typer.Argument(metavar="DST_URL", help="An empty database.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Copy all there is to an empty database of either engine, and compare; others may write to SRC_URL meanwhile."""
    from machine_monitor.cli.progress import bar
    from machine_monitor.database import database_urls
    from machine_monitor.services import backup as backups

    given, target = database_urls.parse(source, "SRC_URL"), database_urls.parse(destination, "DST_URL")
    with site.at(given) as database, site.stoppable(), bar("Copying") as progress:
        held = backups.copy(database, target, progress)
    _print(held, as_json=as_json)


def _print(held: "Contents | Manifest", *, as_json: bool) -> None:
    """What was copied; exit 1 if its history was tampered with, which a copy does not mend."""
    if as_json:
        typer.echo(json.dumps(held.document(), ensure_ascii=False, indent=1))
    else:
        for table, count in held.tables.items():
            typer.echo(f"{table:24} {count}")
        typer.echo(f"head {held.head}")
    for fault in held.faults:
        typer.secho(fault, fg="red", err=True)
    raise typer.Exit(1 if held.faults else 0)
