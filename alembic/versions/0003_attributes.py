"""Add the representations by which attributes are compared, beside the folded texts of machines and logs."""

import json

import sqlalchemy as sa
from alembic import op

from machine_monitor.query.language import attributes

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OBJECT = sa.Text().with_variant(sa.JSON(), "postgresql")
TABLES = ("machines", "logs")
BATCH = 1_000


def upgrade() -> None:
    for table in TABLES:
        op.add_column(f"{table}_folded", sa.Column("attributes", OBJECT, nullable=True))
        # In offline mode (`--sql`) there are no rows to read.
        if not op.get_context().as_sql:
            _fill(table)


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(f"{table}_folded", "attributes")


def _fill(table: str) -> None:
    """Fill in the representations of existing attributes."""
    connection = op.get_bind()
    find = sa.text(f"SELECT id, CAST(attributes AS text) FROM {table} WHERE CAST(attributes AS text) <> '{{}}'")
    value = "CAST(:document AS json)" if connection.dialect.name == "postgresql" else ":document"
    write = sa.text(f"UPDATE {table}_folded SET attributes = {value} WHERE id = :id")
    found = connection.execute(find, execution_options={"stream_results": True})
    for rows in found.partitions(BATCH):
        documents = {row[0]: attributes.encode_representations(json.loads(row[1])) for row in rows}
        connection.execute(write, [{"id": key, "document": document} for key, document in documents.items()])
