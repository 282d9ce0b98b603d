"""Commands about accounts: who may sign in, and the tokens of programs."""

import json
import sys
from typing import Annotated, Literal

import typer

from machine_monitor.cli import site

VIA = "cli"
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Trigram = Annotated[str, typer.Argument(help="The user's short name.", show_default=False)]


def add_user(
    trigram: Trigram,
    role: Annotated[
        Literal["viewer", "operator", "lead", "supervisor", "admin"] | None,
        typer.Option(help="What the user may do; operator, if the user is new."),
    ] = None,
    first_name: Annotated[str | None, typer.Option(help="First name.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Last name.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password, one line.")] = False,
) -> None:
    """Add a user, or help one that is there: set the password, or print a link by which the user chooses one."""
    from machine_monitor.services.accounts import invitations, passwords
    from machine_monitor.services.audit.history import Author

    given = {"role": role, "first_name": first_name, "last_name": last_name}
    given = {name: value for name, value in given.items() if value is not None}
    hashed = None
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        passwords.check(password, [trigram, first_name, last_name])
        hashed = passwords.hash_now(password)
    with site.opened() as (settings, database):
        made = database.transact(lambda tx: invitations.enrol(tx, trigram, given, hashed, Author(VIA)))
    if made is not None:
        typer.echo(made.url(site.address(settings.host, settings.port)))
        typer.echo(f"Whoever opens it first, by {made.expires_at}, chooses the password.", err=True)


def list_users(as_json: Json = False) -> None:
    """List the people."""
    from machine_monitor.cli import reports
    from machine_monitor.models import USERS
    from machine_monitor.services import records

    with site.opened() as (_, database):
        found = database.snapshot(lambda tx: records.read_all(tx, USERS))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        reports.print_users(found)


def add_token(
    trigram: Trigram,
    scope: Annotated[
        Literal["read", "write", "admin"], typer.Option(help="What it may do of what the user may.")
    ] = "write",
    days: Annotated[int, typer.Option(min=1, max=3650, help="For how long it is good.")] = 90,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
) -> None:
    """Make a token of a user and print it, alone: it is shown this once."""
    from machine_monitor.models.accounts.token import TokenCreate
    from machine_monitor.services.accounts import tokens
    from machine_monitor.services.records import validation

    body = validation.validate(TokenCreate, {"name": name, "scope": scope, "days": days})
    with site.opened() as (_, database):
        _, text = database.transact(lambda tx: tokens.make(tx, trigram, body))
    typer.echo(text)


def list_tokens(as_json: Json = False) -> None:
    """List the tokens of all users, without what they are sent as."""
    from machine_monitor.cli import reports
    from machine_monitor.services.accounts import tokens

    with site.opened() as (_, database):
        found = database.snapshot(tokens.read_all)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        reports.print_tokens(found)


def revoke_token(number: Annotated[str, typer.Argument(metavar="ID", help="Its number.", show_default=False)]) -> None:
    """Revoke a token: from now on it is none."""
    from machine_monitor.services.accounts import tokens

    with site.opened() as (_, database):
        database.transact(lambda tx: tokens.revoke(tx, number))
