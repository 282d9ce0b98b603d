"""A resource for the recipe test: sites where machines stand, each with a list of contacts."""

from typing import Annotated, Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from machine_monitor.database.kinds import EXACT_TEXT, INTEGER, TEXT
from machine_monitor.models.fields import Identity, Name, Schema, ShortText, kind_field
from machine_monitor.models.schemas import Versioned, patch_schema, replace_schema
from machine_monitor.query.declaration import declare
from machine_monitor.query.folded_texts import folded_table
from machine_monitor.query.schema import ChildRows, CountOf, Resource


class SiteFields(Schema):
    """The fields of a site that users write."""

    name: Name = kind_field(TEXT, "What people call it.")
    city: ShortText | None = kind_field(TEXT, "The town.", None)


class Site(SiteFields, Versioned, table=True):
    """The table of sites."""

    __tablename__ = "sites"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("name"),
        UniqueConstraint("name_key"),
        CheckConstraint("version >= 1", name="version"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=INTEGER.column_type)
    name_key: str = Field(sa_type=EXACT_TEXT)
    contact_count: int = Field(sa_type=INTEGER.column_type)


class Contact(Schema):
    """One person to call."""

    name: ShortText = kind_field(TEXT, "The person.")
    phone: ShortText | None = kind_field(TEXT, "The number.", None)


class SiteContact(Contact, table=True):
    """The table of contacts of sites."""

    __tablename__ = "site_contacts"
    __table_args__: ClassVar[Any] = (ForeignKeyConstraint(["site_id"], ["sites.id"], ondelete="RESTRICT"),)

    site_id: int = Field(primary_key=True, sa_type=INTEGER.column_type)
    position: int = Field(primary_key=True, sa_type=INTEGER.column_type)
    name_folded: str = Field(sa_type=TEXT.column_type)


Contacts = Annotated[list[Contact], ChildRows(SQLModel.metadata.tables["site_contacts"], Contact, on="site_id")]


class SiteCreate(SiteFields):
    """A new site."""

    contacts: Contacts = Field(default_factory=list, description="The people to call, the first one first.")


class SiteRead(Versioned, SiteCreate):
    """A site as the API returns it."""

    contact_count: Annotated[Identity, CountOf("contacts")] = kind_field(INTEGER, "How many people there are to call.")


PRESERVED_ON_PUT = frozenset({"name"})
SiteReplace = replace_schema(SiteCreate, SiteRead, PRESERVED_ON_PUT)
SiteUpdate = patch_schema(SiteReplace)

SITES = declare(
    Resource(
        name="sites",
        noun="site",
        table=SQLModel.metadata.tables["sites"],
        folded=folded_table(SQLModel.metadata.tables["sites"], SiteRead),
        read=SiteRead,
        create=SiteCreate,
        key="name",
        lookup_column="name_key",
        unique_column="name_key",
        lookup_key_of=str.lower,
        unique_key_of=str.lower,
        searched=("name", "city", "contacts.name"),
        preserved_on_put=PRESERVED_ON_PUT,
        sort="name",
        tiebreakers=("name",),
    )
)
