"""Instants as text: RFC 3339 in UTC, with six digits of fraction only if it is not zero."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, func, literal_column


def format_instant(instant: datetime) -> str:
    """The one way that this product writes an instant."""
    # Most are in UTC: moving them there would cost as much as all else of a text.
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return in_utc.replace(tzinfo=None).isoformat() + "Z"


def now() -> datetime:
    """The instant that it is."""
    return datetime.now(UTC)


def left(text: ColumnElement, length: int) -> ColumnElement:
    """So many characters of a text, from its first; literals, so that a statement can group by it."""
    return func.substr(text, literal_column("1"), literal_column(str(length)))
