"""Values about the database itself: what its derived data was built with, and its last backup."""

from sqlmodel import Field

from machine_monitor.database.kinds import CODE
from machine_monitor.models.fields import Schema


class Derived(Schema, table=True):
    """Table of these values by name.

    New rules for words, or a new Unicode version, make the next command rebuild the search index; a new time zone the
    counters.
    `mm backup` writes `last_backup`.
    """

    __tablename__ = "derived"

    name: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(sa_type=CODE.column_type)


DERIVED = Derived.metadata.tables["derived"]
