"""The command `machine-monitor`, short `mm`. What a command needs is imported when it runs: help must be instant."""

import gc
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from machine_monitor.cli import accounts, copies, data, files, service
from machine_monitor.errors import MonitorError

app = typer.Typer(
    name="mm",
    help="Machine Monitor: interventions on machines, recorded and found again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(service.serve)
app.command()(service.demo)
app.command()(data.migrate)
app.command()(data.sync)
app.command()(files.export)
app.command("import")(files.import_)
app.command()(copies.backup)
app.command()(copies.restore)
app.command()(copies.copy)
app.command()(service.verify)
app.command()(service.doctor)
app.command()(service.openapi)
users = typer.Typer(help="The people who intervene.", no_args_is_help=True)
users.command("add")(accounts.add_user)
users.command("list")(accounts.list_users)
app.add_typer(users, name="user")
tokens = typer.Typer(help="What programs act for users by.", no_args_is_help=True)
tokens.command("add")(accounts.add_token)
tokens.command("list")(accounts.list_tokens)
tokens.command("revoke")(accounts.revoke_token)
app.add_typer(tokens, name="token")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"machine-monitor {version('machine-monitor')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    State.debug = debug


class State:
    """What the options before the command's name say."""

    debug = False


def main() -> None:
    """Run the command line: exit 0 done, 1 done but not clean, 2 nothing done; no traceback unless asked for."""
    # A command makes many records and no cycles: to look for some took a sixth of an import.
    gc.set_threshold(20_000)
    try:
        app()
    except MonitorError as error:
        _fail(error.detail)
    except Exception as error:  # noqa: BLE001 -- the outermost place: a person gets a sentence
        _fail(f"{type(error).__name__}: {error}. Run again with `mm --debug` for the traceback.")


def _fail(sentence: str) -> NoReturn:
    if State.debug:
        traceback.print_exc()
    typer.secho(sentence, fg="red", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
