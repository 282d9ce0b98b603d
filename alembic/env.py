"""Alembic's environment: run on the connection that `mm migrate` passes, or connect to the configured database."""

from alembic import context

from machine_monitor import config
from machine_monitor.database import database_urls
from machine_monitor.database.schema import migrations, rendering, search_indexes
from machine_monitor.models import METADATA


def run(connection) -> None:  # noqa: ANN001 -- SQLAlchemy's connection, whose type nothing here needs
    """Run the migrations in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        include_name=search_indexes.is_compared,
        render_item=rendering.render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    with migrations.transaction(database_urls.parse(config.load().database_url)) as own:
        run(own)
