"""The state of the service for administrators: version, settings, health, sizes, the last change and backup."""

import json
from functools import cache
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import select

from machine_monitor.config import Settings
from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import CHANGES, RESOURCES
from machine_monitor.query.sql.documents import record_json
from machine_monitor.services.accounts import rate_limit
from machine_monitor.services.checks import health, last_backup
from machine_monitor.services.projections import counters


class DatabaseState(BaseModel):
    """The database."""

    engine: str = Field(description="The engine: sqlite or postgresql.")
    revision: str = Field(description="The schema revision.")
    bytes: int = Field(description="The size in bytes, indexes included.")


class SiteSettings(BaseModel):
    """The settings that concern users. Settings that could contain a secret are not shown."""

    timezone: str = Field(description="The site's time zone: `MM_TIMEZONE`.")
    unlisted: Literal["on", "off"] = Field(description="Whether a log may create its machine: `MM_UNLISTED`.")
    anonymous: Literal["off", "read"] = Field(description="Access without an account: `MM_ANONYMOUS`.")
    require_if_match: bool = Field(description="Whether changes require `If-Match`: `MM_REQUIRE_IF_MATCH`.")
    query_timeout: float = Field(description="The maximum duration of a query in seconds: `MM_QUERY_TIMEOUT`.")


class SignInLimits(BaseModel):
    """The number of failed sign-ins that are allowed within a time window."""

    window_seconds: int = Field(description="The length of the window.")
    per_account: int = Field(description="The limit of an account, at each address and on each known device.")
    per_address: int = Field(description="The limit of an IP address.")


class Health(BaseModel):
    """The health checks. `failing` lasts until an administrator acts on the faults."""

    status: Literal["ready", "failing"]
    faults: list[str] = Field(description="What needs attention, with the command that helps.")


class LastChange(BaseModel):
    """The newest entry of the history, without the changed values."""

    seq: int
    at: str
    user: str | None
    via: str
    op: str
    resource: str
    key: str


class BackupState(BaseModel):
    """The last backup by `mm backup`."""

    at: str = Field(description="When it was finished.")
    bytes: int = Field(description="The size of its file in bytes.")


class ServiceState(BaseModel):
    """The state of the service."""

    version: str = Field(description="The version of the program.")
    health: Health
    database: DatabaseState
    settings: SiteSettings
    sign_in_limits: SignInLimits
    records: dict[str, int] = Field(description="The number of records by resource, without deleted logs.")
    last_change: LastChange | None = Field(description="The newest entry of the history; null if there is none.")
    last_backup: BackupState | None = Field(description="The last backup; null if none is known.")


def read_state(tx: Transaction, settings: Settings) -> ServiceState:
    """Read the state from a snapshot of the database."""
    faults = health.find_faults(tx, settings.timezone)
    backup = last_backup.read(tx)
    return ServiceState(
        version=version("machine-monitor"),
        health=Health(status="failing" if faults else "ready", faults=faults),
        database=DatabaseState(
            engine=tx.engine.name,
            revision=tx.execute(health.revision(tx.engine), {})[0][0],
            bytes=tx.engine.database_bytes(tx.cursor),
        ),
        settings=SiteSettings(**settings.model_dump(include=set(SiteSettings.model_fields))),
        sign_in_limits=SignInLimits(
            window_seconds=int(rate_limit.WINDOW.total_seconds()),
            per_account=rate_limit.MAX_PER_ACCOUNT,
            per_address=rate_limit.MAX_PER_ADDRESS,
        ),
        records={resource.name: counters.count_records(tx, resource) for resource in RESOURCES},
        last_change=_last_change(tx),
        last_backup=None if backup is None else BackupState(**backup._asdict()),
    )


def _last_change(tx: Transaction) -> LastChange | None:
    rows = tx.execute(_last_change_statement(tx.engine), {})
    return LastChange(**json.loads(rows[0][0])) if rows else None


@cache
def _last_change_statement(engine: Engine) -> Statement:
    item = engine.driver_json(record_json(engine, CHANGES, tuple(LastChange.model_fields), ()))
    return compile_statement(
        engine, select(item).select_from(CHANGES.table).order_by(CHANGES.table.c.seq.desc()).limit(1)
    )
