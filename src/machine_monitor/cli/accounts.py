"""Commands that manage user accounts and API tokens."""

import json
import sys
from typing import Annotated, Literal

import typer

from machine_monitor.cli import site

VIA = "cli"
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Trigram = Annotated[
    str, typer.Argument(metavar="TRIGRAM", help="The user's trigram (short name), such as ADM.", show_default=False)
]


def add_user(
    trigram: Trigram,
    role: Annotated[
        Literal["viewer", "operator", "lead", "supervisor", "admin"] | None,
        typer.Option(help="The role. A new user is an operator by default."),
    ] = None,
    first_name: Annotated[str | None, typer.Option(help="First name.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Last name.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input: one line.")
    ] = False,
) -> None:
    """Add a user, or change an existing one. Prints a one-time link with which the user sets a password.

    With --password-stdin, sets the password itself and prints nothing.
    """
    from machine_monitor.services.accounts import invitations, passwords
    from machine_monitor.services.audit.history import ChangeContext

    given = {"role": role, "first_name": first_name, "last_name": last_name}
    given = {name: value for name, value in given.items() if value is not None}
    password_hash = None
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        passwords.check(password, [trigram, first_name, last_name])
        password_hash = passwords.hash_password(password)
    with site.open_database() as (settings, database):
        link = database.transact(
            lambda tx: invitations.put_account(tx, trigram, given, password_hash, ChangeContext(VIA))
        )
    if link is not None:
        typer.echo(link.url(site.base_url(settings, settings.host, settings.port)))
        typer.echo(f"Send this link to the user. It sets the password, once, until {link.expires_at}.", err=True)


def list_users(as_json: Json = False) -> None:
    """List all users."""
    from machine_monitor.cli import reports
    from machine_monitor.models import USERS
    from machine_monitor.services import records

    with site.open_existing_database() as (_, database):
        users = database.snapshot(lambda tx: records.read_all(tx, USERS))
    if as_json:
        typer.echo(json.dumps(users, ensure_ascii=False, indent=1))
    else:
        reports.print_users(users)


def add_token(
    trigram: Trigram,
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="What the token may do, within the role of its user."),
    ] = "write",
    days: Annotated[int, typer.Option(min=1, max=3650, help="The lifetime in days.")] = 90,
    name: Annotated[str, typer.Option(help="A name that tells what the token is for.")] = "command line",
) -> None:
    """Create an API token that acts for a user, and print it. It cannot be shown again."""
    from machine_monitor.models.accounts.token import TokenCreate
    from machine_monitor.services.accounts import tokens
    from machine_monitor.services.audit.history import ChangeContext
    from machine_monitor.services.records import validation

    body = validation.validate(TokenCreate, {"name": name, "scope": scope, "days": days})
    with site.open_existing_database() as (_, database):
        _, text = database.transact(lambda tx: tokens.issue(tx, trigram, body, ChangeContext(VIA)))
    typer.echo(text)


def list_tokens(as_json: Json = False) -> None:
    """List the tokens of all users, without the secrets."""
    from machine_monitor.cli import reports
    from machine_monitor.services.accounts import tokens

    with site.open_existing_database() as (_, database):
        listed = database.snapshot(tokens.read_all)
    if as_json:
        typer.echo(json.dumps(listed, ensure_ascii=False, indent=1))
    else:
        reports.print_tokens(listed)


def revoke_token(
    number: Annotated[
        str, typer.Argument(metavar="ID", help="The token's id, as `mm token list` prints it.", show_default=False)
    ],
) -> None:
    """Revoke a token. It stops working at once."""
    from machine_monitor.services.accounts import tokens
    from machine_monitor.services.audit.history import ChangeContext

    with site.open_existing_database() as (_, database):
        database.transact(lambda tx: tokens.revoke(tx, number, ChangeContext(VIA)))
