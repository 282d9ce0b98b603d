"""Add saved mappings, and the imports of uploaded files."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
UUID = sa.Text().with_variant(sa.Uuid(as_uuid=False), "postgresql")


def upgrade() -> None:
    op.create_table(
        "file_imports",
        sa.Column("id", UUID, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("file", TEXT, nullable=False),
        sa.Column("bytes", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=True),
        sa.Column("mapping_name", TEXT, nullable=True),
        sa.Column("done", INTEGER, nullable=False),
        sa.Column("total", INTEGER, nullable=False),
        *[sa.Column(name, INTEGER, nullable=True) for name in ("created", "updated", "conflict", "rejected")],
        sa.Column("user", TEXT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("applied_at", TIME, nullable=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("file_folded", TEXT, nullable=False),
        sa.Column("mapping_name_folded", TEXT, nullable=True),
        sa.Column("mapping", TEXT, nullable=True),
        sa.Column("result", TEXT, nullable=False),
        sa.Column("first_entry", INTEGER, nullable=True),
        sa.Column("lease", INTEGER, nullable=False),
        sa.Column("lease_until", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_file_imports"),
    )
    op.create_index("ix_file_imports_created_at_id", "file_imports", ["created_at", "id"])
    op.create_table(
        "mappings",
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("name_folded", TEXT, nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.CheckConstraint("version >= 1", name="ck_mappings_version"),
        sa.PrimaryKeyConstraint("name", name="pk_mappings"),
    )


def downgrade() -> None:
    op.drop_table("mappings")
    op.drop_table("file_imports")
