"""Schemas of the bulk endpoint."""

from typing import Any, ClassVar, Literal

from pydantic import SkipValidation
from sqlmodel import Field

from machine_monitor.models.fields import Schema
from machine_monitor.models.log import LogReplace

MAX_ITEMS = 1_000


class LogBulk(Schema):
    """Logs to create or replace together. Each is validated on its own, like the body of a PUT by its `uuid`."""

    max_bytes: ClassVar[int] = 8 * 1024 * 1024

    mode: Literal["atomic", "partial"] = Field(
        default="atomic", description="`atomic`: write all items or none. `partial`: write every valid item."
    )
    # Documented as PUT bodies, but validated later: each item is validated against its stored record.
    items: list[SkipValidation[LogReplace]] = Field(  # ty: ignore[invalid-type-form] -- derived from the schema of POST
        min_length=1, max_length=MAX_ITEMS, description="The logs. One without `uuid` is created."
    )


class BulkResult(Schema):
    """The result of one item."""

    index: int = Field(description="The item's position in `items`, from 0.")
    uuid: str | None = Field(description="The log's UUID; null if the item has no valid one.")
    status: Literal["created", "updated", "unchanged", "error"] = Field(description="The result of the item.")
    version: int | None = Field(description="The log's version after the write; null for an error.")
    problem: dict[str, Any] | None = Field(
        description="The error as problem details (RFC 9457); null if there is none."
    )


class BulkAnswer(Schema):
    """The results of all items, and the number of items per status."""

    results: list[BulkResult]
    counts: dict[str, int]
