"""The command `machine-monitor`, short `mm`. Commands import what they need when they run, so that help is instant."""

import atexit
import gc
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from machine_monitor.cli import accounts, attachments, copies, data, files, imports, mcp, service
from machine_monitor.errors import MonitorError

app = typer.Typer(
    name="mm",
    help="Machine Monitor: record interventions on machines, and find any of them instantly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _examples(*lines: str) -> str:
    """Return the end of a command's help."""
    return "\n\n".join(["Examples:", *lines])


app.command(
    epilog=_examples("mm serve", "mm serve --host 0.0.0.0 --port 8080 --workers 2", "mm serve --host 0.0.0.0 --https")
)(service.serve)
app.command(epilog=_examples("mm demo", "mm demo --machines 10 --logs 500"))(service.demo)
app.command(epilog=_examples("mm migrate", "MM_DATABASE_URL=postgresql://user@host/name mm migrate"))(data.migrate)
app.command(epilog=_examples("mm sync old-data --dry-run", "mm sync old-data --timezone Europe/Paris"))(data.sync)
app.command(
    epilog=_examples(
        "mm export logs.csv --dialect excel",
        "mm export errors.xlsx --query 'type=error&started_at__gte=-30d'",
        "mm export machines.ndjson --resource machines",
        "mm export logs.csv --files photos",
    )
)(files.export)
app.command(
    epilog=_examples(
        "mm report week --to week.html",
        "mm report 2026-11 --to november.xlsx --language fr",
        "mm report 2026-11-02..2026-11-08 --query 'machine.sector=1A' --url https://machines.example.org",
    )
)(files.report)
app.command(
    "import",
    epilog=_examples(
        "mm import logs.csv --dry-run", "mm import orders.xlsx --map orders.map.json --rejected refused.csv"
    ),
)(imports.import_)
app.command(epilog=_examples("mm backup monday.db"))(copies.backup)
app.command(epilog=_examples("MM_DATABASE_URL=sqlite:///new.db mm restore monday.db"))(copies.restore)
app.command(epilog=_examples("mm copy sqlite:///machine-monitor.db postgresql://user@host/name"))(copies.copy)
app.command(epilog=_examples("mm verify", "mm verify --files", "mm verify --head 5120:0d5cf6c1..."))(service.verify)
app.command(epilog=_examples("mm doctor", "mm doctor --rebuild-search"))(service.doctor)
app.command(epilog=_examples("mm openapi > openapi.json"))(service.openapi)
app.command(epilog=_examples("MM_URL=http://localhost:8000 MM_TOKEN=mm_... mm mcp"))(mcp.mcp)
mappings = typer.Typer(help="Manage saved mappings, which `mm import --map` takes by name.", no_args_is_help=True)
mappings.command("list")(imports.list_mappings)
mappings.command("show", epilog=_examples("mm mapping show orders > orders.map.json"))(imports.show_mapping)
mappings.command("save", epilog=_examples("mm mapping save orders.map.json"))(imports.save_mapping)
app.add_typer(mappings, name="mapping")
stored_files = typer.Typer(help="Manage the files of attachments.", no_args_is_help=True)
stored_files.command("prune", epilog=_examples("mm files prune --older 30d --dry-run"))(attachments.prune)
app.add_typer(stored_files, name="files")
users = typer.Typer(help="Manage user accounts.", no_args_is_help=True)
users.command(
    "add", epilog=_examples("mm user add ADM --role admin --first-name Ada", "mm user add EVA --role viewer")
)(accounts.add_user)
users.command("list")(accounts.list_users)
app.add_typer(users, name="user")
tokens = typer.Typer(help="Manage API tokens, with which programs act for a user.", no_args_is_help=True)
tokens.command("add", epilog=_examples("mm token add ADM --scope read --days 30 --name dashboard"))(accounts.add_token)
tokens.command("list")(accounts.list_tokens)
tokens.command("revoke", epilog=_examples("mm token revoke 3"))(accounts.revoke_token)
app.add_typer(tokens, name="token")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"machine-monitor {version('machine-monitor')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    State.debug = debug


class State:
    """The options before the name of the command."""

    debug = False


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 done with problems, 2 nothing done. Tracebacks only with --debug."""
    # Commands create many objects and no cycles. With the default threshold, collections take a sixth of an import.
    gc.set_threshold(20_000)
    # At its end the interpreter looks for cycles among all objects, for half a second; it skips those that are frozen.
    atexit.register(gc.freeze)
    try:
        app(prog_name="mm")
    except MonitorError as error:
        _fail(error.detail)
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part is not None) + ".")
    except Exception as error:  # noqa: BLE001 -- the outermost handler: users get a sentence
        _fail(f"Unexpected error: {str(error) or type(error).__name__}. Run it again as `mm --debug ...` for details.")


def _fail(message: str) -> NoReturn:
    if State.debug:
        traceback.print_exc()
    typer.secho(message, fg="red", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
