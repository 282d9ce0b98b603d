"""Generate the next migration from the models: `make migration NAME=add_location`.

Alembic compares the models with a temporary SQLite database, in which all migrations have been run. A developer
therefore needs no database, and no existing one is read or changed. The module `rendering` formats the migration.
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.script import Script, ScriptDirectory

from machine_monitor.database import database_urls
from machine_monitor.database.schema import migrations, migrations_folder
from machine_monitor.errors import MonitorError, UsageError

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_NAME = 40  # Alembic truncates longer file names


def write_migration(name: str) -> Path | None:
    """Write the next migration and return its file, or None if the models do not differ from the migrations."""
    if len(name) > MAX_NAME or not NAME.fullmatch(name):
        rule = f"lower-case words joined by underscores, at most {MAX_NAME} characters"
        raise UsageError(f"Name the migration, for example `make migration NAME=add_location`: {rule}; got {name!r}.")
    number = _next_number()
    with TemporaryDirectory(prefix="machine-monitor-") as folder:
        url = database_urls.for_file(Path(folder) / "empty.db")
        migrations.upgrade(url)
        with migrations.transaction(url) as connection:
            written = command.revision(
                migrations.alembic_config(connection),
                name.replace("_", " ").capitalize(),
                autogenerate=True,
                rev_id=number,
                process_revision_directives=_drop_empty,
            )
    if not isinstance(written, Script):
        return None
    path = Path(written.path)
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["format"], ["check", "--fix", "--exit-zero"], ["format"]):
        subprocess.run([ruff, *words, "--quiet", "--no-cache", path], check=True)  # noqa: S603 -- ruff, on the file just written
    return path


def _next_number() -> str:
    head = ScriptDirectory(str(migrations_folder())).get_current_head()
    return f"{int(head or 0) + 1:04}"


def _drop_empty(_context: object, _revision: object, directives: list) -> None:
    """Tell Alembic to write no file if nothing differs."""
    if directives[0].upgrade_ops.is_empty():
        directives.clear()


def main() -> None:
    """Write the migration that the command line names, and print the next step."""
    try:
        path = write_migration("_".join(sys.argv[1:]))
    except MonitorError as error:
        sys.exit(str(error))
    message = "The models do not differ from the migrations: no file was written."
    if path is not None:
        message = "Review and complete the file, then test it: `make quick ARGS=tests/database`."
    sys.stdout.write(f"{message}\n")


if __name__ == "__main__":
    main()
