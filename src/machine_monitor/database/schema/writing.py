"""Write a migration from the models: `make migration NAME=add_location`.

The models are compared with a temporary database that every migration has been run on, so no database of the
developer's is read or changed, and none has to be there. Alembic writes the difference; `rendering` says how.
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.script import Script, ScriptDirectory

from machine_monitor.database import addresses
from machine_monitor.database.schema import location, migrations
from machine_monitor.errors import MonitorError, UsageError

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST = 40  # Alembic cuts longer names of files


def write(name: str) -> Path | None:
    """Write the next migration; None if the models and the migrations do not differ."""
    if len(name) > LONGEST or not NAME.fullmatch(name):
        message = f"A migration has a name such as add_location: small letters, at most {LONGEST}. Here it is {name!r}."
        raise UsageError(message)
    number = _next_number()
    with TemporaryDirectory(prefix="machine-monitor-") as folder:
        address = addresses.of_file(Path(folder) / "empty.db")
        migrations.upgrade(address)
        with migrations.locked(address) as connection:
            written = command.revision(
                migrations.alembic_config(connection),
                f"{name.replace('_', ' ').capitalize()}",
                autogenerate=True,
                rev_id=number,
                process_revision_directives=_drop_empty,
            )
    if not isinstance(written, Script):  # nothing was written
        return None
    path = Path(written.path)
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["format"], ["check", "--fix", "--exit-zero"], ["format"]):
        subprocess.run([ruff, *words, "--quiet", "--no-cache", path], check=True)  # noqa: S603 -- ruff, on the file just written
    return path


def _next_number() -> str:
    head = ScriptDirectory(str(location())).get_current_head()
    return f"{int(head or 0) + 1:04}"


def _drop_empty(_context: object, _revision: object, directives: list) -> None:
    """Let Alembic write nothing where nothing differs."""
    if directives[0].upgrade_ops.is_empty():
        directives.clear()


def main() -> None:
    """Write the migration that the command line names, and say what is next."""
    try:
        path = write("_".join(sys.argv[1:]))
    except MonitorError as error:
        sys.exit(str(error))
    said = "The models have no column, table or index that the migrations lack: nothing was written."
    if path is not None:
        said = "Read it, complete it, and try it: `make quick ARGS=tests/database`."
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main()
