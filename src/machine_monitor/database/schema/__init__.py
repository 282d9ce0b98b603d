"""The schema of a database, as a service needs to know it: whether it is the code's. Changing it needs Alembic."""

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
_REVISION = re.compile(r'^(revision|down_revision) = "(.+)"$', re.MULTILINE)


def location() -> Path:
    """The folder of the migrations: inside the package where it is installed, at the top of a checkout."""
    installed = _PACKAGE / "alembic"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "alembic"


@cache
def newest() -> str:
    """The revision that this code works with: the one that no other follows."""
    scripts = [script.read_text("utf-8") for script in (location() / "versions").glob("*.py")]
    named = {name for script in scripts for kind, name in _REVISION.findall(script) if kind == "revision"}
    followed = {name for script in scripts for kind, name in _REVISION.findall(script) if kind == "down_revision"}
    (last,) = named - followed
    return last
