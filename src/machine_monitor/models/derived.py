"""Values about the database itself: what its derived data was built with, and its last backup."""

from sqlmodel import Field

from machine_monitor.database.kinds import CODE
from machine_monitor.models.fields import Schema


class Derived(Schema, table=True):
    """Table of these values by name.

    If the Unicode version of the folded texts or the time zone of the counters changes, these are rebuilt.
    `last_backup` is written by `mm backup`.
    """

    __tablename__ = "derived"

    name: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(sa_type=CODE.column_type)


DERIVED = Derived.metadata.tables["derived"]
