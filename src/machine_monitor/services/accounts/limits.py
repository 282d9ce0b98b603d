"""Limits of attempts to sign in, by account and by address. They are in the database: every worker counts them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import bindparam, select, update
from sqlalchemy import literal_column as literal

from machine_monitor.database import instants
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models.accounts import ATTEMPTS
from machine_monitor.services.accounts import rows

WINDOW = timedelta(minutes=15)
OF_ACCOUNT = 10
OF_ADDRESS = 50

Limits = Mapping[str, int]


def of(trigram: str, address: str | None) -> Limits:
    """What an attempt counts for, and how often each may fail; the address first, which many accounts share."""
    account = {f"account {trigram.lower()}": OF_ACCOUNT}
    return account if address is None else {f"address {_network(address)}": OF_ADDRESS, **account}


def attempt(tx: Transaction, limits: Limits) -> int | None:
    """Count an attempt before it is known to fail, as many at once must count; seconds to wait if it is too many."""
    now = instants.now()
    rows.remove_before(tx, ATTEMPTS, "since", instants.text(now - WINDOW))
    for subject, limit in limits.items():
        values = {"subject": subject, "since": tx.engine.store(instants.text(now), TIME)}
        found = tx.run(_known(tx.engine), values)
        # What is refused anyway writes nothing.
        if not found or found[0][0] < limit:
            found = tx.run(_count(tx.engine), values)
            if found[0][0] <= limit:
                continue
        begun = datetime.fromisoformat(tx.engine.load(found[0][1], TIME))
        return max(1, int((begun + WINDOW - now).total_seconds()))
    return None


def succeed(tx: Transaction, limits: Limits) -> None:
    """Forget the attempts of the account that signed in, and at its address this one."""
    for subject in limits:
        if subject.startswith("account"):
            rows.remove(tx, ATTEMPTS, subject=subject)
        else:
            tx.run(_take_back(tx.engine), {"of": subject})


def _network(address: str) -> str:
    """The address, of IPv6 the network: whoever has one of its addresses has them all."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address


@cache
def _known(engine: Engine) -> Statement:
    table = ATTEMPTS
    query = select(table.c.count, table.c.since)
    return compile_statement(engine, query.where(table.c.subject == bindparam("subject", type_=CODE.column_type)))


@cache
def _count(engine: Engine) -> Statement:
    table = ATTEMPTS
    row = engine.insert(table).values(subject=bindparam("subject"), count=literal("1"), since=bindparam("since"))
    counted = row.on_conflict_do_update(index_elements=["subject"], set_={"count": table.c.count + literal("1")})
    return compile_statement(engine, counted.returning(table.c.count, table.c.since))


@cache
def _take_back(engine: Engine) -> Statement:
    table = ATTEMPTS
    where = table.c.subject == bindparam("of", type_=CODE.column_type)
    return compile_statement(engine, update(table).where(where).values(count=table.c.count - literal("1")))
