"""What the query engine cannot do is refused when a resource is declared, which is when the program starts."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Column, MetaData, Table

from machine_monitor.database.engines import SQLITE
from machine_monitor.database.kinds import INTEGER, OBJECT, TEXT
from machine_monitor.models.fields import Attributes, Identity, Name, Schema, ShortText, kind_field
from machine_monitor.query import lists
from machine_monitor.query.declaration import BadDeclaration, declare
from machine_monitor.query.language import parser
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.metrics import ONE, Counters, IntervalMetric, SumMetric
from machine_monitor.query.schema import ChildRows, CountOf, Reference
from query.plant import JOBS, KINDS, LINE_TABLE, REGIONS, SITE_TABLE, SITES, STATIONS, Line


def copy(resource, **changes):
    """A resource like one of the plant's, that nobody refers to."""
    return replace(resource, **{"referrers": [], **changes})


def with_site(reference):
    """Stations whose site is this reference."""

    class Read(Schema):
        name: Name = kind_field(TEXT, "")
        site: Annotated[Name, reference] | None = kind_field(TEXT, "", None)

    return copy(STATIONS, read=Read, searched=("name",))


def with_lines(mark, item=Line, *, nullable=False):
    many = Annotated[list[item], mark]

    class Read(Schema):
        code: ShortText = kind_field(TEXT, "")
        lines: (many | None) if nullable else many
        line_count: Annotated[int, INTEGER, CountOf("lines")]

    return copy(JOBS, read=Read, searched=(), facet_token_fields=(), summary=None)


class Nested(Schema):
    facts: Attributes = kind_field(OBJECT, "", default_factory=dict)


FACTS = Table(
    "facts",
    MetaData(),
    Column("job_id", INTEGER.column_type),
    Column("position", INTEGER.column_type),
    Column("facts", OBJECT.column_type),
)


class Dunder(Schema):
    name: Name = kind_field(TEXT, "")
    a__b: ShortText | None = kind_field(TEXT, "", None)


class Absent(Schema):
    name: Name = kind_field(TEXT, "")
    nowhere: ShortText | None = kind_field(TEXT, "", None)


class Limited(Schema):
    name: Name = kind_field(TEXT, "")
    limit: ShortText | None = kind_field(TEXT, "", None)


class Kindless(Schema):
    name: Name = kind_field(TEXT, "")
    country: str | None = None


class Facts(Schema):
    name: Name = kind_field(TEXT, "")
    country: Attributes = kind_field(OBJECT, "", default_factory=dict)


class KindlessItem(Line):
    note: str = ""


class Numbered(Line):
    position: Identity = kind_field(INTEGER, "")


LOOSE = Table(
    "loose",
    MetaData(),
    *[Column(name, INTEGER.column_type) for name in ("job_id", "position", *Line.model_fields)],
)


def with_summary(**changes):
    return copy(JOBS, summary=replace(JOBS.summary, **changes))


def with_metric(metric):
    return with_summary(metrics={**JOBS.summary.metrics, metric.name: metric})


def with_nothing_indexed_by_time():
    return copy(JOBS, index_prefixes=(("station_id",),))


BAD = {
    "a column that is not there": (with_site(Reference(SITES, on="nothing", to="id")), "from column nothing"),
    "a column of theirs that is not there": (
        with_site(Reference(SITES, on="site_id", to="nothing")),
        "from column site_id",
    ),
    "a column that is not unique": (with_site(Reference(SITES, on="site_id", to="city")), "which is not unique"),
    "a natural key that may change": (with_site(Reference(SITES, on="name", to="name")), "reference its id"),
    "a key of another column": (with_site(Reference(KINDS, on="sector", to="code")), "the same name"),
    "a name with two underscores": (copy(REGIONS, read=Dunder), "which separates a field from its operator"),
    "a field without a column": (copy(REGIONS, read=Absent), "no column for 'nowhere'"),
    "a key that is no field": (copy(REGIONS, key="nothing"), "there is no field nothing"),
    "an order that is not total": (copy(REGIONS, tiebreakers=("country",)), "is not unique"),
    "a tiebreaker that is no column": (copy(REGIONS, tiebreakers=("nothing",)), "is not a column"),
    "an index that is not there": (
        copy(JOBS, index_prefixes=(("minutes",), ())),
        "no index ix_jobs_minutes_started_at_id of minutes, started_at, id",
    ),
    "no index for lists without filters": (with_nothing_indexed_by_time(), "must include the empty one"),
    "a default order by nothing": (copy(REGIONS, sort="-nothing"), "cannot be sorted by '-nothing'"),
    "a name that lists use": (copy(REGIONS, read=Limited), "the field name 'limit' is reserved"),
    "a field without a kind": (copy(REGIONS, read=Kindless), "'country' has no kind"),
    "an object of another name": (copy(REGIONS, read=Facts), "name it 'attributes'"),
    "a reference to what may change": (with_site(Reference(SITES, on="site_id", to="name_key")), "reference its id"),
    "a facet token for a nullable field": (
        copy(JOBS, facet_token_fields=("spare",)),
        "'spare' cannot have a facet token",
    ),
    "a facet token for a number": (
        copy(JOBS, facet_token_fields=("line_count",)),
        "'line_count' cannot have a facet token",
    ),
    "a count by numbers": (with_summary(fields=("minutes",)), "'minutes' cannot be a facet"),
    "a place in time that may be null": (with_summary(at="ended_at"), "'ended_at' cannot place a record in time"),
    "no metric that is measured untold": (with_summary(metrics={}), "no metric 'count'"),
    "a metric of a unit's name": (with_metric(SumMetric("day", "", (), lambda: ONE)), "'day' has the name"),
    "a metric of nothing": (with_metric(SumMetric("x", "", ("nothing",), lambda _: ONE)), "'x' reads 'nothing'"),
    "a span that begins at a text": (
        with_metric(IntervalMetric("x", "", "note", "ended_at", "kind")),
        "from or to 'note'",
    ),
    "a span of nothing": (with_metric(IntervalMetric("x", "", "started_at", "ended_at", "no")), "for each 'no'"),
    "counters of what is far away": (
        with_summary(counters=Counters(LOOSE, LOOSE, {"station.site": ()})),
        "'station.site' is not one",
    ),
    "rows that no index finds": (with_lines(ChildRows(LOOSE, Line, on="job_id")), "no index of job_id, position"),
    "rows that may be null": (with_lines(ChildRows(LINE_TABLE, Line, on="job_id"), nullable=True), "may be null"),
    "rows that say their place": (with_lines(ChildRows(LINE_TABLE, Numbered, on="job_id"), Numbered), "by the product"),
    "a search in what has no text": (copy(JOBS, searched=("minutes",)), "'minutes' cannot be searched"),
    "a search in a related record": (copy(JOBS, searched=("station.sector",)), "'station.sector' cannot be searched"),
    "a count by what is there many times": (
        copy(JOBS, summary=replace(JOBS.summary, fields=("lines.part",))),
        "'lines.part' cannot be a facet",
    ),
    "rows without a place": (with_lines(ChildRows(SITE_TABLE, Line, on="job_id")), "need the columns job_id"),
    "rows that have no kind": (
        with_lines(ChildRows(LINE_TABLE, KindlessItem, on="job_id"), KindlessItem),
        "has no kind",
    ),
    "rows that hold objects": (
        with_lines(ChildRows(FACTS, Nested, on="job_id"), Nested),
        "can only have scalar values",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_asked_rightly_cannot_be_declared(case):
    resource, sentence = BAD[case]
    with pytest.raises(BadDeclaration) as refused:
        declare(resource)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(f"{resource.name}: ")


def test_a_count_of_nothing_is_refused():
    class Read(Schema):
        code: ShortText = kind_field(TEXT, "")
        line_count: Annotated[int, INTEGER, CountOf("lines")]

    with pytest.raises(BadDeclaration, match="is not a list of child rows"):
        declare(copy(JOBS, read=Read, searched=(), facet_token_fields=(), summary=None))


def test_few_records_are_found_by_the_rows_of_their_lists_and_many_by_a_walk_in_order():
    query = parser.parse_list_query(JOBS, [("lines.part", "Seal")], TimeContext(ZoneInfo("UTC"), datetime.now(UTC)))
    statement, _ = lists.compile_list(SQLITE, query)
    assert "EXISTS" not in statement.sql
    assert "INDEXED BY ix_jobs_started_at_id" in statement.sql
    assert "NOT INDEXED" in statement.sql


def test_a_good_declaration_tells_those_that_it_names():
    before = len(SITES.referrers)
    declare(with_site(Reference(SITES, on="site_id", to="id")))
    added = SITES.referrers[before:]
    del SITES.referrers[before:]
    assert [(referrer.resource.name, referrer.name) for referrer in added] == [("stations", "site")]
    assert LINE_TABLE.name == "job_lines"
