"""A resource that the query engine cannot support is refused when it is declared, that is, when the program starts."""

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
    """Return a changed copy of a resource, to which no other resource refers."""
    return replace(resource, **{"referrers": [], **changes})


def with_site(reference):
    """Return the stations with this reference as their field `site`."""

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


def without_index_by_time():
    return copy(JOBS, index_prefixes=(("station_id",),))


INVALID = {
    "a reference from a column that does not exist": (
        with_site(Reference(SITES, on="nothing", to="id")),
        "from column nothing",
    ),
    "a reference to a column that does not exist": (
        with_site(Reference(SITES, on="site_id", to="nothing")),
        "from column site_id",
    ),
    "a reference to a column that is not unique": (
        with_site(Reference(SITES, on="site_id", to="city")),
        "which is not unique",
    ),
    "a reference to a natural key that may change": (
        with_site(Reference(SITES, on="name", to="name")),
        "reference its id",
    ),
    "a reference to a natural key from a column of another name": (
        with_site(Reference(KINDS, on="sector", to="code")),
        "the same name",
    ),
    "a name with two underscores": (copy(REGIONS, read=Dunder), "which separates a field from its operator"),
    "a field without a column": (copy(REGIONS, read=Absent), "no column for 'nowhere'"),
    "a key that is not a field": (copy(REGIONS, key="nothing"), "there is no field nothing"),
    "tiebreakers that are not unique": (copy(REGIONS, tiebreakers=("country",)), "is not unique"),
    "a tiebreaker that is not a column": (copy(REGIONS, tiebreakers=("nothing",)), "is not a column"),
    "an index that does not exist": (
        copy(JOBS, index_prefixes=(("minutes",), ())),
        "no index ix_jobs_minutes_started_at_id of minutes, started_at, id",
    ),
    "no index for lists without filters": (without_index_by_time(), "must include the empty one"),
    "a default sort by a field that does not exist": (copy(REGIONS, sort="-nothing"), "cannot be sorted by '-nothing'"),
    "a field named like a parameter of lists": (copy(REGIONS, read=Limited), "the field name 'limit' is reserved"),
    "a field without a kind": (copy(REGIONS, read=Kindless), "'country' has no kind"),
    "an object that is not named attributes": (copy(REGIONS, read=Facts), "name it 'attributes'"),
    "a reference to a column that may change": (
        with_site(Reference(SITES, on="site_id", to="name_key")),
        "reference its id",
    ),
    "a facet token for a field that may be null": (
        copy(JOBS, facet_token_fields=("spare",)),
        "'spare' cannot have a facet token",
    ),
    "a facet token for a number": (
        copy(JOBS, facet_token_fields=("line_count",)),
        "'line_count' cannot have a facet token",
    ),
    "a summary by a time that may be null": (with_summary(at="ended_at"), "'ended_at' cannot place a record in time"),
    "no default metric": (with_summary(metrics={}), "no metric 'count'"),
    "a metric named like a time unit": (with_metric(SumMetric("day", "", (), lambda: ONE)), "'day' has the name"),
    "a metric named like a field": (with_metric(SumMetric("minutes", "", (), lambda: ONE)), "'minutes' has the name"),
    "a metric of a field that does not exist": (
        with_metric(SumMetric("x", "", ("nothing",), lambda _: ONE)),
        "'x' reads 'nothing'",
    ),
    "an interval that begins at a text": (
        with_metric(IntervalMetric("x", "", "note", "ended_at", "kind")),
        "from or to 'note'",
    ),
    "an interval for each value of a field that does not exist": (
        with_metric(IntervalMetric("x", "", "started_at", "ended_at", "no")),
        "for each 'no'",
    ),
    "counters of a related field": (
        with_summary(counters=Counters(LOOSE, LOOSE, {"station.site": ()})),
        "'station.site' cannot have counters",
    ),
    "child rows without an index": (with_lines(ChildRows(LOOSE, Line, on="job_id")), "no index of job_id, position"),
    "child rows that may be null": (with_lines(ChildRows(LINE_TABLE, Line, on="job_id"), nullable=True), "may be null"),
    "child rows with a field named position": (
        with_lines(ChildRows(LINE_TABLE, Numbered, on="job_id"), Numbered),
        "by the product",
    ),
    "a search in a number": (copy(JOBS, searched=("minutes",)), "'minutes' cannot be searched"),
    "a search in a related record": (copy(JOBS, searched=("station.sector",)), "'station.sector' cannot be searched"),
    "child rows without the required columns": (
        with_lines(ChildRows(SITE_TABLE, Line, on="job_id")),
        "need the columns job_id",
    ),
    "child rows with a field without a kind": (
        with_lines(ChildRows(LINE_TABLE, KindlessItem, on="job_id"), KindlessItem),
        "has no kind",
    ),
    "child rows with an object": (
        with_lines(ChildRows(FACTS, Nested, on="job_id"), Nested),
        "can only have scalar values",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_declaration_is_refused(case):
    resource, sentence = INVALID[case]
    with pytest.raises(BadDeclaration) as refused:
        declare(resource)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(f"{resource.name}: ")


def test_a_count_of_a_list_that_does_not_exist_is_refused():
    class Read(Schema):
        code: ShortText = kind_field(TEXT, "")
        line_count: Annotated[int, INTEGER, CountOf("lines")]

    with pytest.raises(BadDeclaration, match="is not a list of child rows"):
        declare(copy(JOBS, read=Read, searched=(), facet_token_fields=(), summary=None))


def test_a_filter_on_child_rows_starts_from_few_matches_or_scans_in_sort_order():
    query = parser.parse_list_query(JOBS, [("lines.part", "Seal")], TimeContext(ZoneInfo("UTC"), datetime.now(UTC)))
    statement, _ = lists.compile_list(SQLITE, query)
    assert "EXISTS" not in statement.sql
    assert "INDEXED BY ix_jobs_started_at_id" in statement.sql
    assert "NOT INDEXED" in statement.sql


def test_a_declaration_registers_itself_at_the_resources_that_it_references():
    before = len(SITES.referrers)
    declare(with_site(Reference(SITES, on="site_id", to="id")))
    added = SITES.referrers[before:]
    del SITES.referrers[before:]
    assert [(referrer.resource.name, referrer.name) for referrer in added] == [("stations", "site")]
    assert LINE_TABLE.name == "job_lines"
