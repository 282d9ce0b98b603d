"""Instants as text: RFC 3339 in UTC, `2025-07-25T13:18:25Z`, six digits of fraction only if not zero."""

from datetime import UTC, datetime


def text(instant: datetime) -> str:
    """The one way that this product writes an instant."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def now() -> datetime:
    """The instant that it is."""
    return datetime.now(UTC)
