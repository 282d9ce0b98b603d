"""Provenance of imported records: maps each record of the legacy tool to its record here, with its original content."""

from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME, VERBATIM_JSON
from machine_monitor.models.fields import Instant, Schema


class LegacyImport(Schema, table=True):
    """Table of imported records.

    `record_id` is the row id in the table `resource`; `version` is the record's version after the last import.
    """

    __tablename__ = "legacy_imports"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("resource", "key", name="uq_legacy_imports_resource_key"),
        CheckConstraint("version >= 1", name="version"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    resource: str = Field(sa_type=CODE.column_type)
    key: str = Field(sa_type=TEXT.column_type)
    record_id: int = Field(sa_type=INTEGER.column_type)
    version: int = Field(sa_type=INTEGER.column_type)
    raw: str | None = Field(default=None, sa_type=VERBATIM_JSON.column_type)
    imported_at: Instant = Field(sa_type=TIME.column_type)


LEGACY_IMPORTS = LegacyImport.metadata.tables["legacy_imports"]
