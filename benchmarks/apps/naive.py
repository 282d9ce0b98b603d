"""The naive app: SQLModel, AsyncSession and response_model as in tutorials, on the product's tables."""

import os
import uuid as uuids
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BeforeValidator
from sqlalchemy import JSON, DateTime, Uuid
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload, registry
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, Relationship, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

SEVERITIES = ("info", "minor", "major", "critical")
STORED_TIME = "%(year)04d-%(month)02d-%(day)02dT%(hour)02d:%(minute)02d:%(second)02d"


class Time(UTCDateTime):
    """SQLModel's type for times, in the format of the product's SQLite file."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> TypeEngine:
        """Use a format with a `T` between date and time on SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sqlite.DATETIME(storage_format=STORED_TIME))
        return dialect.type_descriptor(DateTime(timezone=True))


class Table(SQLModel, registry=registry()):
    """A base class with its own registry, because the product's table classes have the same names."""


class Machine(Table, table=True):
    """The table of machines."""

    __tablename__ = "machines"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    sector: str | None = None
    usage: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    year_of_acquisition: int | None = None
    in_service: bool | None = True
    listed: bool = True
    comment: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    version: int = 1
    created_at: datetime = Field(sa_type=Time)
    updated_at: datetime = Field(sa_type=Time)


class LogBase(SQLModel):
    """The fields that all schemas of a log share."""

    type: str
    status: str = "done"
    comment: str | None = None
    cause: str | None = None
    action: str | None = None
    project: str | None = None
    user: str | None = None


def now() -> datetime:
    """Return the current time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class Log(Table, LogBase, table=True):
    """The table of logs."""

    __tablename__ = "logs"

    id: int | None = Field(default=None, primary_key=True)
    uuid: str = Field(
        default_factory=lambda: str(uuids.uuid4()), sa_type=AutoString().with_variant(Uuid(as_uuid=False), "postgresql")
    )
    machine_id: int = Field(foreign_key="machines.id")
    severity: int = 0
    started_at: datetime = Field(default_factory=now, sa_type=Time)
    ended_at: datetime | None = Field(default=None, sa_type=Time)
    down_from: datetime | None = Field(default=None, sa_type=Time)
    down_to: datetime | None = Field(default=None, sa_type=Time)
    down_kind: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    version: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=Time)
    updated_at: datetime = Field(default_factory=now, sa_type=Time)
    deleted_at: datetime | None = Field(default=None, sa_type=Time)
    machine: Machine = Relationship()


class LogCreate(LogBase):
    """The body of a POST request."""

    machine: str
    severity: Literal["info", "minor", "major", "critical"] = "info"
    started_at: datetime = Field(default_factory=now)
    ended_at: datetime | None = None
    down_from: datetime | None = None
    down_to: datetime | None = None
    down_kind: str | None = None
    attributes: dict[str, Any] = {}


class LogPublic(LogBase):
    """A log in a response."""

    uuid: str
    machine: Annotated[str, BeforeValidator(lambda machine: getattr(machine, "name", machine))]
    severity: Annotated[str, BeforeValidator(lambda rank: SEVERITIES[rank] if isinstance(rank, int) else rank)]
    started_at: datetime
    ended_at: datetime | None
    down_from: datetime | None
    down_to: datetime | None
    down_kind: str | None
    attributes: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class LogsPublic(SQLModel):
    """The response of a list."""

    items: list[LogPublic]


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


async def read_logs(  # noqa: PLR0913 -- FastAPI takes query parameters from the signature
    session: Session,
    type: str | None = None,  # noqa: A002 -- the parameter's name
    machine: str | None = None,
    started_at__gte: datetime | None = None,
    started_at__lt: datetime | None = None,
    offset: int = 0,
    limit: Annotated[int, Query(le=500)] = 50,
) -> Any:
    """List logs, newest first."""
    query = select(Log).where(col(Log.deleted_at).is_(None)).options(joinedload(Log.machine))
    if type is not None:
        query = query.where(Log.type == type)
    if machine is not None:
        query = query.where(Log.machine_id == select(Machine.id).where(Machine.name == machine).scalar_subquery())
    if started_at__gte is not None:
        query = query.where(Log.started_at >= started_at__gte)
    if started_at__lt is not None:
        query = query.where(Log.started_at < started_at__lt)
    query = query.order_by(col(Log.started_at).desc(), col(Log.id).desc()).offset(offset).limit(limit)
    return {"items": (await session.exec(query)).all()}


async def read_log(session: Session, uuid: str) -> Any:
    """Read one log."""
    query = select(Log).where(Log.uuid == uuid, col(Log.deleted_at).is_(None)).options(joinedload(Log.machine))
    log = (await session.exec(query)).first()
    if log is None:
        raise HTTPException(404)
    return log


async def create_log(session: Session, body: LogCreate) -> Any:
    """Create a log."""
    machine = (await session.exec(select(Machine).where(Machine.name == body.machine))).first()
    if machine is None:
        raise HTTPException(422, "There is no such machine.")
    values = body.model_dump(exclude={"machine"}) | {"severity": SEVERITIES.index(body.severity)}
    log = Log(**values, machine_id=machine.id, machine=machine)
    session.add(log)
    await session.commit()
    return log


def create_app(url: str) -> FastAPI:
    """Create the app for a database."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    engine = create_async_engine(url)
    app = FastAPI(lifespan=lifespan)
    app.state.sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    app.get("/logs", response_model=LogsPublic)(read_logs)
    app.post("/logs", response_model=LogPublic, status_code=201)(create_log)
    app.get("/logs/{uuid}", response_model=LogPublic)(read_log)
    return app


def create() -> FastAPI:
    """Create the app for the database in the variable BENCH_URL."""
    return create_app(os.environ["BENCH_URL"])
