"""A plant for tests: resources with relations of several levels and lists inside records. The product has none of them.

    jobs -> stations -> sites -> regions        jobs -> stations (a second time, as `spare`, which may be null)
    jobs -> kinds, by a natural key             jobs: lines, in their order
    readings -> jobs, which may be deleted; readings have no text

The resources are declared as in `models/`, and have the same routes as the product's resources in `api/routes/`.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, UniqueConstraint
from sqlmodel import Field

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, PreconditionsDep, facets_of, list_query_of, selection_of, stats_of
from machine_monitor.api.downloads import add_export_routes
from machine_monitor.api.openapi.documents import (
    create_operation,
    delete_operation,
    facets_operation,
    list_operation,
    read_operation,
    replace_operation,
    restore_operation,
    stats_operation,
    update_operation,
)
from machine_monitor.api.route import create_router
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.database import instants
from machine_monitor.database.kinds import BOOLEAN, CODE, INTEGER, TEXT, TIME
from machine_monitor.models import HISTORY
from machine_monitor.models.fields import Code, Flag, Identity, Instant, Name, Schema, ShortText, kind_field
from machine_monitor.models.schemas import Versioned, patch_schema, replace_schema
from machine_monitor.query import facets, lists, stats
from machine_monitor.query.declaration import declare
from machine_monitor.query.folded_texts import folded_table
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.summaries import FacetsQuery, StatsQuery
from machine_monitor.query.metrics import ONE, IntervalMetric, Summary, SumMetric
from machine_monitor.query.schema import ChildRows, CountOf, Reference, Resource, Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import MANAGE_RECORDS, READ

METADATA = MetaData()


def table(name: str, *columns: Column, versioned: bool = True) -> Table:
    times = [Column(at, TIME.column_type, nullable=False) for at in ("created_at", "updated_at")]
    common = [Column("version", INTEGER.column_type, nullable=False), *times] if versioned else []
    identity = [Column("id", INTEGER.column_type, primary_key=True)] if versioned else []
    return Table(name, METADATA, *identity, *columns, *common, sqlite_autoincrement=versioned)


def text(name: str, *, nullable: bool = True) -> Column:
    return Column(name, TEXT.column_type, nullable=nullable)


def named_table(name: str, *columns: Column) -> Table:
    """Return the table of a resource whose key is a name, which may change."""
    resource_table = table(name, text("name", nullable=False), text("name_key", nullable=False), *columns)
    for column in ("name", "name_key"):
        resource_table.append_constraint(UniqueConstraint(resource_table.c[column]))
    return resource_table


def reference_column(name: str, refers_to: str, *, nullable: bool = True) -> Column:
    return Column(name, INTEGER.column_type, ForeignKey(refers_to, ondelete="RESTRICT"), nullable=nullable)


REGION_TABLE = named_table("regions", text("country"))
SITE_TABLE = named_table("sites", text("city"), reference_column("region_id", "regions.id"))
STATION_TABLE = named_table("stations", text("sector"), reference_column("site_id", "sites.id"))
KIND_TABLE = table("kinds", Column("code", CODE.column_type, unique=True), text("code_key"), text("label"))
JOB_TABLE = table(
    "jobs",
    Column("code", CODE.column_type, nullable=False, unique=True),
    text("code_key", nullable=False),
    reference_column("station_id", "stations.id", nullable=False),
    reference_column("spare_id", "stations.id"),
    Column("kind", CODE.column_type, ForeignKey("kinds.code"), nullable=False),
    text("note"),
    Column("minutes", INTEGER.column_type),
    Column("started_at", TIME.column_type, nullable=False),
    Column("ended_at", TIME.column_type),
    Column("line_count", INTEGER.column_type, nullable=False),
    Column("deleted_at", TIME.column_type),
)
Index("ix_jobs_station_id_started_at_id", JOB_TABLE.c.station_id, JOB_TABLE.c.started_at, JOB_TABLE.c.id)
Index("ix_jobs_started_at_id", JOB_TABLE.c.started_at, JOB_TABLE.c.id)
LINE_TABLE = Table(
    "job_lines",
    METADATA,
    Column("job_id", INTEGER.column_type, ForeignKey("jobs.id"), primary_key=True),
    Column("position", INTEGER.column_type, primary_key=True),
    text("part", nullable=False),
    text("part_folded", nullable=False),
    Column("quantity", INTEGER.column_type, CheckConstraint("quantity >= 0")),
    Column("urgent", BOOLEAN.column_type, nullable=False),
    Column("needed_at", TIME.column_type),
)
READING_TABLE = table(
    "readings",
    Column("code", CODE.column_type, nullable=False, unique=True),
    reference_column("job_id", "jobs.id", nullable=False),
    # `job.station` leads to the same table: joins of both must not use the alias `job_station` twice.
    reference_column("job_station_id", "stations.id"),
    Column("value", INTEGER.column_type, nullable=False),
)


def declare_named(
    name: str, noun: str, table_: Table, schemas: tuple[type[Schema], type[Schema]], **more: Any
) -> Resource:
    """Declare a resource whose key is a name."""
    read_schema, create_schema = schemas
    names = {
        "lookup_column": "name_key",
        "unique_column": "name_key",
        "lookup_key_of": str.lower,
        "unique_key_of": str.lower,
    }
    return declare(
        Resource(
            name=name,
            noun=noun,
            table=table_,
            folded=folded_table(table_, read_schema),
            read=read_schema,
            create=create_schema,
            key="name",
            sort="name",
            tiebreakers=("name",),
            preserved_on_put=frozenset({"name"}),
            **names,
            **more,
        )
    )


class RegionCreate(Schema):
    name: Name = kind_field(TEXT, "Its name.")
    country: ShortText | None = kind_field(TEXT, "Where it lies.", None)


class RegionRead(Versioned, RegionCreate):
    id: Identity = kind_field(INTEGER, "Its number.")


REGIONS = declare_named("regions", "region", REGION_TABLE, (RegionRead, RegionCreate), searched=("name", "country"))


class SiteCreate(Schema):
    name: Name = kind_field(TEXT, "Its name.")
    city: ShortText | None = kind_field(TEXT, "The town.", None)
    region: Annotated[Name, Reference(REGIONS, on="region_id", to="id")] | None = kind_field(TEXT, "The region.", None)


class SiteRead(Versioned, SiteCreate):
    pass


SITES = declare_named("sites", "site", SITE_TABLE, (SiteRead, SiteCreate), searched=("name", "city", "region"))


class StationCreate(Schema):
    name: Name = kind_field(TEXT, "Its name.")
    sector: ShortText | None = kind_field(TEXT, "Where it stands.", None)
    site: Annotated[Name, Reference(SITES, on="site_id", to="id")] | None = kind_field(TEXT, "The site.", None)


class StationRead(Versioned, StationCreate):
    pass


STATIONS = declare_named("stations", "station", STATION_TABLE, (StationRead, StationCreate), searched=("name", "site"))


class KindCreate(Schema):
    code: Code = kind_field(CODE, "Its code.")
    label: ShortText | None = kind_field(TEXT, "How people call it.", None)


class KindRead(Versioned, KindCreate):
    pass


KINDS = declare(
    Resource(
        name="kinds",
        noun="kind",
        table=KIND_TABLE,
        folded=folded_table(KIND_TABLE, KindRead),
        read=KindRead,
        create=KindCreate,
        key="code",
        lookup_column="code",
        unique_column="code_key",
        unique_key_of=str.lower,
        searched=("code", "label"),
        preserved_on_put=frozenset({"code"}),
        immutable=frozenset({"code"}),
        sort="code",
        tiebreakers=("code",),
    )
)


class Line(Schema):
    part: ShortText = kind_field(TEXT, "What is needed.")
    quantity: Identity | None = kind_field(INTEGER, "How many.", None)
    urgent: Flag = kind_field(BOOLEAN, "Whether the job waits for it.", default=False)
    needed_at: Instant | None = kind_field(TIME, "When.", None)


def line_dicts(value: object) -> object:
    """Convert `Line` instances, such as validated defaults, to dictionaries: strict schemas refuse instances."""
    return (
        [line.model_dump() if isinstance(line, Line) else line for line in value] if isinstance(value, list) else value
    )


class JobCreate(Schema):
    code: Code = kind_field(CODE, "Its code.")
    station: Annotated[Name, Reference(STATIONS, on="station_id", to="id")] = kind_field(TEXT, "Where it is done.")
    spare: Annotated[Name, Reference(STATIONS, on="spare_id", to="id")] | None = kind_field(TEXT, "Where else.", None)
    kind: Annotated[Code, Reference(KINDS, on="kind", to="code")] = kind_field(CODE, "What kind of job.")
    note: ShortText | None = kind_field(TEXT, "What was seen.", None)
    minutes: Identity | None = kind_field(INTEGER, "How long it takes.", None)
    started_at: Instant = kind_field(TIME, "When it began.", default_factory=instants.now)
    ended_at: Instant | None = kind_field(TIME, "When it ended.", None)
    lines: Annotated[list[Line], ChildRows(LINE_TABLE, Line, on="job_id"), BeforeValidator(line_dicts)] = Field(
        default_factory=list, description="What it needs."
    )


class JobRead(Versioned, JobCreate):
    line_count: Annotated[Identity, CountOf("lines")] = kind_field(INTEGER, "How many lines.")


JOB_SUMMARY = Summary(
    at="started_at",
    metrics={
        metric.name: metric
        for metric in (
            SumMetric("count", "how many", (), lambda: ONE),
            SumMetric("total_minutes", "how long they take", ("minutes",), lambda minutes: minutes),
            IntervalMetric("worked", "for how many seconds", "started_at", "ended_at", "station_id"),
        )
    },
)
JOBS = declare(
    Resource(
        name="jobs",
        noun="job",
        table=JOB_TABLE,
        folded=folded_table(JOB_TABLE, JobRead),
        read=JobRead,
        create=JobCreate,
        key="code",
        lookup_column="code",
        unique_column="code_key",
        unique_key_of=str.lower,
        searched=("code", "station", "note", "lines.part"),
        facet_token_fields=("station", "kind"),
        preserved_on_put=frozenset({"code", "started_at"}),
        immutable=frozenset({"code"}),
        sort="-started_at",
        tiebreakers=("started_at", "id"),
        index_prefixes=(("station_id",), ()),
        soft_delete=True,
        summary=JOB_SUMMARY,
    )
)


class ReadingCreate(Schema):
    code: Code = kind_field(CODE, "Its code.")
    job: Annotated[Code, Reference(JOBS, on="job_id", to="id")] = kind_field(CODE, "The job.")
    job_station: Annotated[Name, Reference(STATIONS, on="job_station_id", to="id")] | None = kind_field(
        TEXT, "Where it was read.", None
    )
    value: Identity = kind_field(INTEGER, "What was read.")


class ReadingRead(Versioned, ReadingCreate):
    pass


READINGS = declare(
    Resource(
        name="readings",
        noun="reading",
        table=READING_TABLE,
        folded=folded_table(READING_TABLE, ReadingRead),
        read=ReadingRead,
        create=ReadingCreate,
        key="code",
        lookup_column="code",
        unique_column="code",
        preserved_on_put=frozenset({"code"}),
        immutable=frozenset({"code"}),
        sort="code",
        tiebreakers=("code",),
    )
)
RESOURCES = (REGIONS, SITES, STATIONS, KINDS, JOBS, READINGS)


def create_tables(tx) -> None:
    """Create the tables, as a migration would."""
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415 -- for tests of the plant alone

    for table_ in METADATA.sorted_tables:
        for ddl in (CreateTable(table_), *map(CreateIndex, table_.indexes)):
            tx.cursor.execute(str(ddl.compile(dialect=tx.engine.dialect)))
    for resource in RESOURCES:
        for statement in tx.engine.fulltext.create:
            tx.cursor.execute(statement.format(name=resource.name))


def routes(resource: Resource) -> APIRouter:  # noqa: C901 -- a function for each operation, as in a module of routes
    """Return the routes of a resource, as a module of `api/routes/` declares them."""
    path, router = f"/{resource.name}", create_router(resource.name)
    create_schema = resource.create
    put_schema = replace_schema(create_schema, resource.read, resource.preserved_on_put)
    update_schema = patch_schema(put_schema)

    def operation(verb: str):
        return {"name": f"{verb}_{resource.name}"}

    @router.get(path, dependencies=[needs(READ)], **list_operation(resource), **operation("list"))
    async def list_all(
        request: Request, query: Annotated[ListQuery, list_query_of(resource)], database: Db
    ) -> Response:
        return responses.page_response(request, await lists.fetch(database, query))

    @router.post(path, dependencies=[needs(MANAGE_RECORDS)], **create_operation(resource), **operation("create"))
    async def create(body: create_schema, write: WriteOnce) -> Response:
        return await write.create(path, resource, body)

    if resource.summary is not None:

        @router.get(f"{path}/facets", dependencies=[needs(READ)], **facets_operation(resource), **operation("count"))
        async def count(query: Annotated[FacetsQuery, facets_of(resource)], database: Db) -> Response:
            return responses.json_response(await facets.fetch(database, query))

        @router.get(f"{path}/stats", dependencies=[needs(READ)], **stats_operation(resource), **operation("measure"))
        async def measure(query: Annotated[StatsQuery, stats_of(resource)], database: Db) -> Response:
            return responses.json_response(await stats.fetch(database, query))

    @router.get(f"{path}/{{key}}", dependencies=[needs(READ)], **read_operation(resource), **operation("get"))
    async def get(
        key: Name, selection: Annotated[Selection, selection_of(resource)], known: PreconditionsDep, database: Db
    ) -> Response:
        return responses.record_response(await records.read(database, resource, key, selection), known, selection)

    @router.put(
        f"{path}/{{key}}", dependencies=[needs(MANAGE_RECORDS)], **replace_operation(resource), **operation("replace")
    )
    async def replace(key: Name, body: put_schema, write: Write) -> Response:
        return responses.write_response(path, await write.replace(resource, key, body))

    @router.patch(
        f"{path}/{{key}}", dependencies=[needs(MANAGE_RECORDS)], **update_operation(resource), **operation("update")
    )
    async def update(key: Name, body: update_schema, write: Write) -> Response:
        return responses.write_response(path, await write.update(resource, key, body))

    @router.delete(
        f"{path}/{{key}}", dependencies=[needs(MANAGE_RECORDS)], **delete_operation(resource), **operation("delete")
    )
    async def delete(key: Name, write: Write) -> Response:
        await write.delete(resource, key)
        return Response(status_code=204)

    @router.post(
        f"{path}/{{key}}/restore",
        dependencies=[needs(MANAGE_RECORDS)],
        **restore_operation(resource),
        **operation("restore"),
    )
    async def restore(key: Name, write: Write) -> Response:
        return responses.write_response(path, await write.restore(resource, key))

    @router.get(
        f"{path}/{{key}}/history", dependencies=[needs(READ)], **list_operation(HISTORY), **operation("history")
    )
    async def history(
        request: Request, key: Name, query: Annotated[ListQuery, list_query_of(HISTORY)], database: Db
    ) -> Response:
        return responses.page_response(request, await records.read_history(database, resource, key, query))

    add_export_routes(router, resource)
    return router
