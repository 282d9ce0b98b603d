"""What the query engine cannot do is refused when a resource is declared, which is when the program starts."""

from dataclasses import replace
from typing import Annotated

import pytest
from sqlalchemy import Column, MetaData, Table

from machine_monitor.database.kinds import INTEGER, OBJECT, TEXT
from machine_monitor.models.fields import Attributes, Name, Schema, ShortText, stored
from machine_monitor.query.declaration import BadDeclaration, declare
from machine_monitor.query.schema import ChildRows, CountOf, Reference
from query.plant import JOBS, KINDS, LINE_TABLE, REGIONS, SITE_TABLE, SITES, STATIONS, Line


def copy(resource, **changes):
    """A resource like one of the plant's, that nobody refers to."""
    return replace(resource, **{"referrers": [], **changes})


def with_site(reference):
    """Stations whose site is this reference."""

    class Read(Schema):
        name: Name = stored(TEXT, "")
        site: Annotated[Name, reference] | None = stored(TEXT, "", None)

    return copy(STATIONS, read=Read, searched=("name",))


def with_lines(mark, item=Line):
    class Read(Schema):
        code: ShortText = stored(TEXT, "")
        lines: Annotated[list[item], mark]
        line_count: Annotated[int, INTEGER, CountOf("lines")]

    return copy(JOBS, read=Read, searched=(), facet_words=(), summary=None)


class Nested(Schema):
    facts: Attributes = stored(OBJECT, "", default_factory=dict)


FACTS = Table(
    "facts",
    MetaData(),
    Column("job_id", INTEGER.column_type),
    Column("position", INTEGER.column_type),
    Column("facts", OBJECT.column_type),
)


class Dunder(Schema):
    name: Name = stored(TEXT, "")
    a__b: ShortText | None = stored(TEXT, "", None)


class Absent(Schema):
    name: Name = stored(TEXT, "")
    nowhere: ShortText | None = stored(TEXT, "", None)


BAD = {
    "a column that is not there": (with_site(Reference(SITES, on="nothing", to="id")), "'site' refers by nothing"),
    "a column of theirs that is not there": (
        with_site(Reference(SITES, on="site_id", to="nothing")),
        "refers by site_id",
    ),
    "a column that is not unique": (with_site(Reference(SITES, on="site_id", to="city")), "which is not unique"),
    "a natural key that may change": (with_site(Reference(SITES, on="name", to="name")), "refer to its id"),
    "a key of another column": (with_site(Reference(KINDS, on="sector", to="code")), "give both one name"),
    "a name with two underscores": (copy(REGIONS, read=Dunder), "which begins an operator"),
    "a field without a column": (copy(REGIONS, read=Absent), "no column for 'nowhere'"),
    "a key that is no field": (copy(REGIONS, key="nothing"), "there is no field nothing"),
    "an order that is not total": (copy(REGIONS, tiebreakers=("country",)), "is not unique"),
    "a tiebreaker that is no column": (copy(REGIONS, tiebreakers=("nothing",)), "is no column"),
    "an index that is not there": (copy(JOBS, index_prefixes=(("minutes",),)), "no index of minutes, started_at, id"),
    "a search in what has no text": (copy(JOBS, searched=("minutes",)), "'minutes' cannot be searched"),
    "a search in a related record": (copy(JOBS, searched=("station.sector",)), "'station.sector' cannot be searched"),
    "a count by what is there many times": (
        copy(JOBS, summary=replace(JOBS.summary, fields=("lines.part",))),
        "'lines.part' cannot be counted by",
    ),
    "rows without a place": (with_lines(ChildRows(SITE_TABLE, Line, on="job_id")), "need the columns job_id"),
    "rows that hold objects": (with_lines(ChildRows(FACTS, Nested, on="job_id"), Nested), "plain values"),
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
        code: ShortText = stored(TEXT, "")
        line_count: Annotated[int, INTEGER, CountOf("lines")]

    with pytest.raises(BadDeclaration, match="which is no list"):
        declare(copy(JOBS, read=Read, searched=(), facet_words=(), summary=None))


def test_a_good_declaration_tells_those_that_it_names():
    before = len(SITES.referrers)
    declare(with_site(Reference(SITES, on="site_id", to="id")))
    added = SITES.referrers[before:]
    del SITES.referrers[before:]
    assert [(referrer.resource.name, referrer.name) for referrer in added] == [("stations", "site")]
    assert LINE_TABLE.name == "job_lines"
