"""What the product derived from the records was derived with; where that changes, it is made again."""

from sqlmodel import Field

from machine_monitor.database.kinds import CODE
from machine_monitor.models.fields import Schema


class Derived(Schema, table=True):
    """The table of such facts: the version of Unicode that texts were folded by, the zone that logs are counted in."""

    __tablename__ = "derived"

    name: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(sa_type=CODE.column_type)


DERIVED = Derived.metadata.tables["derived"]
