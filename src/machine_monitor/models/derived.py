"""Parameters that derived data was built with. If one changes, the derived data is rebuilt."""

from sqlmodel import Field

from machine_monitor.database.kinds import CODE
from machine_monitor.models.fields import Schema


class Derived(Schema, table=True):
    """Table of these parameters: the Unicode version of the folded texts, and the time zone of the counters."""

    __tablename__ = "derived"

    name: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(sa_type=CODE.column_type)


DERIVED = Derived.metadata.tables["derived"]
