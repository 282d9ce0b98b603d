"""Many logs in one body, and what became of each."""

from typing import Any, ClassVar, Literal

from pydantic import SkipValidation
from sqlmodel import Field

from machine_monitor.models.fields import Schema
from machine_monitor.models.log import LogReplace

MAX_ITEMS = 1_000


class LogBulk(Schema):
    """Logs to be created or replaced together; each is checked by itself, as a PUT by its `uuid`."""

    max_bytes: ClassVar[int] = 8 * 1024 * 1024

    mode: Literal["atomic", "partial"] = Field(
        default="atomic", description="All or none of them, or each that is right."
    )
    # Documented as bodies of PUT, checked one by one where it is known what is stored.
    items: list[SkipValidation[LogReplace]] = Field(  # ty: ignore[invalid-type-form] -- derived from the schema of POST
        min_length=1, max_length=MAX_ITEMS, description="The logs; one without `uuid` is created."
    )


class BulkResult(Schema):
    """What became of one item."""

    index: int = Field(description="The item's place in `items`, from 0.")
    uuid: str | None = Field(description="The log's identity; null if the item has none that could be one.")
    status: Literal["created", "updated", "unchanged", "error"] = Field(description="What was done.")
    version: int | None = Field(description="The log's version after it; null for an error.")
    problem: dict[str, Any] | None = Field(description="What was wrong, as RFC 9457 has it; null if nothing was.")


class BulkAnswer(Schema):
    """What became of each item, and how many of each status."""

    results: list[BulkResult]
    counts: dict[str, int]
