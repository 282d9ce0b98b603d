"""Add the sums of the reliability of machines by month, which the service makes in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "reliability_months",
        sa.Column("machine_id", INTEGER, nullable=False),
        sa.Column("start", TIME, nullable=False),
        sa.Column("is_claimed", sa.Boolean(), nullable=False),
        sa.Column("down", INTEGER, nullable=False),
        sa.Column("unplanned", INTEGER, nullable=False),
        sa.Column("failure", INTEGER, nullable=False),
        sa.Column("failures", INTEGER, nullable=False),
        sa.Column("repairs", INTEGER, nullable=False),
        sa.Column("repair", INTEGER, nullable=False),
        sa.Column("carried", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("machine_id", "start", name=op.f("pk_reliability_months")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("reliability_months")
