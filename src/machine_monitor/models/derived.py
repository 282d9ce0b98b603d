"""Values about the database itself: what its derived data was built with, and its last backup."""

from sqlmodel import Field

from machine_monitor.database.kinds import CODE
from machine_monitor.models.fields import Schema


class Derived(Schema, table=True):
    """Table of these values by name.

    A new Unicode version makes the next command rebuild the folded texts, a new time zone the counters.
    `mm backup` writes `last_backup`.
    """

    __tablename__ = "derived"

    name: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(sa_type=CODE.column_type)


DERIVED = Derived.metadata.tables["derived"]
