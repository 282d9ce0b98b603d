"""Instants: as text, RFC 3339 in UTC, six digits of fraction only if not zero; and as statements take them apart."""

from datetime import UTC, datetime

from sqlalchemy import TIMESTAMP, BigInteger, ColumnElement, Integer, Text, case, cast, extract, func, literal_column
from sqlalchemy.dialects import postgresql


def text(instant: datetime) -> str:
    """The one way that this product writes an instant."""
    # Most are: to move them there costs as much as all else of a text.
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return in_utc.replace(tzinfo=None).isoformat() + "Z"


def now() -> datetime:
    """The instant that it is."""
    return datetime.now(UTC)


def beginning_of(text: ColumnElement, length: int) -> ColumnElement:
    """So many characters of a text, from its first; literals, so that it can be grouped by."""
    return func.substr(text, literal_column("1"), literal_column(str(length)))


def sqlite_day(column: ColumnElement, offset: ColumnElement) -> ColumnElement:
    """The date of an instant as text, at an offset from UTC in seconds."""
    # Only whole seconds: SQLite rounds a fraction.
    return func.date(beginning_of(column, 19), offset.concat(literal_column("' seconds'")))


def sqlite_week(day: ColumnElement) -> ColumnElement:
    """The ISO week of a date."""
    # A week belongs to the year of its Thursday; `%G-W%V` came with SQLite 3.46.
    thursday = func.date(day, literal_column("'-3 days'"), literal_column("'weekday 4'"))
    day_of_year = cast(func.strftime(literal_column("'%j'"), thursday), Integer)
    number = (day_of_year + literal_column("6", Integer)) // literal_column("7", Integer)
    return func.printf(literal_column("'%s-W%02d'"), beginning_of(thursday, 4), number)


def sqlite_microseconds(column: ColumnElement) -> ColumnElement:
    """The microseconds of an instant since 1970."""
    seconds = cast(func.strftime(literal_column("'%s'"), beginning_of(column, 19)), Integer)
    return seconds * literal_column("1000000") + cast(func.substr(column, literal_column("21")), Integer)


def postgresql_text(column: ColumnElement) -> ColumnElement:
    """An instant as `text` writes it, in a session whose zone is UTC and whose dates are ISO."""
    # `to_char` costs as much as all else of a document: only fractions need its six digits.
    whole = func.replace(cast(cast(column, TIMESTAMP), Text), literal_column("' '"), literal_column("'T'"))
    fractional = func.to_char(column, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
    is_whole = cast(column, postgresql.TIMESTAMP(timezone=True, precision=0)) == column
    return case((is_whole, whole.concat(literal_column("'Z'"))), else_=fractional)


def postgresql_day(column: ColumnElement, offset: ColumnElement) -> ColumnElement:
    """The date of an instant as text, at an offset from UTC in seconds."""
    local = func.timezone(literal_column("'UTC'"), column) + offset * literal_column("INTERVAL '1 second'")
    return func.to_char(local, literal_column("'YYYY-MM-DD'"))


def postgresql_week(day: ColumnElement) -> ColumnElement:
    """The ISO week of a date."""
    return func.to_char(func.to_date(day, literal_column("'YYYY-MM-DD'")), literal_column("""'IYYY-"W"IW'"""))


def postgresql_microseconds(column: ColumnElement) -> ColumnElement:
    """The microseconds of an instant since 1970."""
    return cast(extract("epoch", column) * literal_column("1000000"), BigInteger)
