"""Add `machines.listed` (false until a supervisor confirms the machine), and the history operation `merge`."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEEP_AUTOINCREMENT = {"table_kwargs": {"sqlite_autoincrement": True}}
OPERATIONS = ("create", "update", "delete", "restore", "rename", "merge", "import")
FORBIDDEN = "entries of the history are not changed or removed"
SQLITE_TRIGGER = f"""CREATE TRIGGER history_{{0}} BEFORE {{0}} ON history
BEGIN SELECT RAISE(ABORT, '{FORBIDDEN}'); END"""


def upgrade() -> None:
    with op.batch_alter_table("machines", **KEEP_AUTOINCREMENT) as batch_op:
        batch_op.add_column(sa.Column("listed", sa.Boolean(), nullable=True))
    op.execute("UPDATE machines SET listed = true")
    with op.batch_alter_table("machines", **KEEP_AUTOINCREMENT) as batch_op:
        batch_op.alter_column("listed", existing_type=sa.Boolean(), nullable=False)
        batch_op.create_check_constraint("ck_machines_listed", "listed IN (false, true)")
    with op.batch_alter_table("history", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("ck_history_op", type_="check")
        batch_op.create_check_constraint("ck_history_op", f"op IN {OPERATIONS}")
    if op.get_context().dialect.name == "sqlite":
        # SQLite dropped the triggers of 0006 with the table that the batch replaced.
        for change in ("update", "delete"):
            op.execute(SQLITE_TRIGGER.format(change))


def downgrade() -> None:
    # The history keeps its constraint: it may have entries of merges, which the former one would refuse.
    with op.batch_alter_table("machines", **KEEP_AUTOINCREMENT) as batch_op:
        batch_op.drop_constraint("ck_machines_listed", type_="check")
        batch_op.drop_column("listed")
