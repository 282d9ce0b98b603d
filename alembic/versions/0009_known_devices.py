"""Add the browser and the device of a session, and the devices on which a user signed in lately."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "known_devices",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.trigram"], name="fk_known_devices_user_users", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("digest", "user", name="pk_known_devices"),
    )
    op.create_index("ix_known_devices_user", "known_devices", ["user"])
    for name in ("browser", "device"):
        op.add_column("sessions", sa.Column(name, TEXT, nullable=True))


def downgrade() -> None:
    for name in ("device", "browser"):
        op.drop_column("sessions", name)
    op.drop_table("known_devices")
