"""Add search indexes (FTS5 on SQLite, tsvector on PostgreSQL), and indexes of status and project.

The next command that opens the database fills the search indexes.
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SEARCHED_FIELDS = {
    "machines": ("name", "sector", "usage", "manufacturer", "model", "serial_number", "comment"),
    "log_types": ("code", "label"),
    "users": ("trigram", "first_name", "last_name"),
    "logs": ("machine", "comment", "cause", "action", "project", "user"),
}
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
FTS5 = """CREATE VIRTUAL TABLE {}_search USING fts5
(words, content='', columnsize=0, tokenize='ascii', prefix='2 3')"""


def upgrade() -> None:
    op.create_table(
        "derived",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_derived"),
    )
    for column in ("status", "project"):
        op.create_index(f"ix_logs_{column}_started_at_id", "logs", [column, "started_at", "id"])
    for name in SEARCHED_FIELDS:
        op.drop_column(f"{name}_folded", "words")
        if op.get_context().dialect.name == "sqlite":
            op.execute(FTS5.format(name))
        else:
            _create_vectors(name)


def _create_vectors(name: str) -> None:
    op.create_table(
        f"{name}_search",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("words", sa.dialects.postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}_search"),
        sa.ForeignKeyConstraint(["id"], [f"{name}.id"], name=f"fk_{name}_search_id_{name}", ondelete="RESTRICT"),
    )
    # fastupdate=false: otherwise searches must scan the GIN pending list.
    op.create_index(
        f"ix_{name}_search_words",
        f"{name}_search",
        ["words"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": False},
    )


def downgrade() -> None:
    for column in ("status", "project"):
        op.drop_index(f"ix_logs_{column}_started_at_id", "logs")
    for name, searched in SEARCHED_FIELDS.items():
        op.drop_table(f"{name}_search")
        op.add_column(f"{name}_folded", sa.Column("words", TEXT, nullable=False, server_default=""))
        _write_words(name, searched)
    op.drop_table("derived")


def _write_words(name: str, searched: tuple[str, ...]) -> None:
    """Restore the `words` column of the previous revision from the folded texts."""
    connection = op.get_bind()
    folded = {column["name"] for column in sa.inspect(connection).get_columns(f"{name}_folded")}
    columns = [
        f"f.{column}" if column in folded else f'lower(r."{column}")' for column in searched if column != "machine"
    ]
    machines = "machines_folded m ON m.id = r.machine_id" if name == "logs" else ""
    joined = f"LEFT JOIN {machines}" if machines else ""
    selected = ", ".join(["r.id", *(["m.name"] if machines else []), *columns])
    rows = connection.execute(sa.text(f"SELECT {selected} FROM {name} r JOIN {name}_folded f ON f.id = r.id {joined}"))
    for identity, *texts in rows.fetchall():
        segments = (
            "".join(f"{word[:64]} " for word in re.findall(r"[^\W_]+", text)) + "\ue000 "
            for text in texts
            if text is not None
        )
        connection.execute(
            sa.text(f"UPDATE {name}_folded SET words = :words WHERE id = :id"),
            {"words": " " + "".join(segments), "id": identity},
        )
