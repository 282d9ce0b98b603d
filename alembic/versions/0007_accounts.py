"""Add accounts: passwords, sessions, invitations, sign-in attempts and API tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "credentials",
        *_required(TEXT, "user", "password"),
        *_required(TIME, "changed_at"),
        _user_foreign_key("credentials"),
        sa.PrimaryKeyConstraint("user", name="pk_credentials"),
    )
    op.create_table(
        "sessions",
        *_required(TEXT, "digest", "user"),
        *_required(TIME, "created_at", "seen_at"),
        _user_foreign_key("sessions"),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
    )
    op.create_table(
        "invitations",
        *_required(TEXT, "digest"),
        sa.Column("user", TEXT, nullable=True),
        *_required(TIME, "expires_at"),
        _user_foreign_key("invitations"),
        sa.PrimaryKeyConstraint("digest", name="pk_invitations"),
    )
    op.create_table(
        "attempts",
        *_required(TEXT, "subject"),
        *_required(INTEGER, "count"),
        *_required(TIME, "since"),
        sa.PrimaryKeyConstraint("subject", name="pk_attempts"),
    )
    op.create_table(
        "tokens",
        *_required(INTEGER, "id"),
        *_required(TEXT, "name", "name_folded", "user"),
        *_required(sa.SmallInteger(), "scope"),
        *_required(TEXT, "digest"),
        *_required(TIME, "created_at", "expires_at"),
        sa.Column("last_used_at", TIME, nullable=True),
        _user_foreign_key("tokens"),
        sa.CheckConstraint("scope BETWEEN 0 AND 2", name="ck_tokens_scope"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sqlite_autoincrement=True,
    )
    for table in ("sessions", "invitations", "tokens"):
        op.create_index(f"ix_{table}_user", table, ["user"])


def downgrade() -> None:
    for table in ("tokens", "attempts", "invitations", "sessions", "credentials"):
        op.drop_table(table)


def _required(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _user_foreign_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user"], ["users.trigram"], name=f"fk_{table}_user_users", ondelete="RESTRICT")
