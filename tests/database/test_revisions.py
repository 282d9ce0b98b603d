"""The product reads the newest revision without importing Alembic, and agrees with Alembic."""

import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory

from machine_monitor.database import schema
from machine_monitor.errors import SchemaMismatch

FIRST = 'revision = "0001"\ndown_revision = None\n'
# Spellings of the last migration, as developers, formatters and Alembic's template write them.
SPELLINGS = {
    "double quotes": 'revision = "0002"\ndown_revision = "0001"\n',
    "single quotes": "revision = '0002'\ndown_revision = '0001'\n",
    "annotated": 'from typing import Sequence, Union\nrevision: str = "0002"\ndown_revision: str | None = "0001"\n',
    "other spaces, and comments": 'revision="0002" # the second\ndown_revision   =    "0001"\n',
    "in brackets": 'revision = (\n    "00"\n    "02"\n)\ndown_revision = ("0001",)\n',
    "a list": 'revision = "0002"\ndown_revision = ["0001"]\n',
    "in a docstring, too": '"""As in\n\nrevision = "0003"\ndown_revision = "0002"\n"""\n'
    'revision = "0002"\ndown_revision = "0001"\n',
    "assigned twice": 'revision = "0003"\nrevision = "0002"\ndown_revision = "0001"\n',
    "a name like a word": 'revision = "1363f7db252a"\ndown_revision = "0001"\n',
    "chained": 'revision = NAME = "0002"\ndown_revision = "0001"\n',
    "unpacked": 'revision, down_revision = "0002", "0001"\n',
    "computed": 'NUMBER = 2\nrevision = f"{NUMBER:04}"\ndown_revision = f"{NUMBER - 1:04}"\n',
    "inside an if": 'if True:\n    revision = "0002"\n    down_revision = "0001"\n',
    "with a byte order mark": '\ufeffrevision = "0002"\ndown_revision = "0001"\n',
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that contains the first migration."""
    monkeypatch.setattr(schema, "migrations_folder", lambda: tmp_path)
    schema.head_revision.cache_clear()
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions/0001_first.py").write_text(FIRST)
    yield tmp_path
    schema.head_revision.cache_clear()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_newest_revision_is_alembics_head(folder, spelling):
    (folder / "versions/0002_second.py").write_text(SPELLINGS[spelling])
    # Files that Alembic ignores.
    for name in ("__init__.py", ".#0002_second.py", "notes.txt"):
        (folder / "versions" / name).write_text("revision = '0009'\n")
    assert schema.head_revision() == ScriptDirectory(str(folder)).get_current_head() != "0001"


def test_a_merge_revision_is_supported(folder):
    for name, follows in (("0002", "'0001'"), ("0003", "'0001'"), ("0004", "('0002', '0003')")):
        (folder / f"versions/{name}.py").write_text(f"revision = '{name}'\ndown_revision = {follows}\n")
    assert schema.head_revision() == ScriptDirectory(str(folder)).get_current_head() == "0004"


@pytest.mark.parametrize(("revision", "message"), [("0002", "have the revision 0002"), ("0003", r"0002, 0003")])
def test_two_heads_give_a_clear_error(folder, revision, message):
    (folder / "versions/0002_a.py").write_text('revision = "0002"\ndown_revision = "0001"\n')
    (folder / "versions/0002_b.py").write_text(f'revision = "{revision}"\ndown_revision = "0001"\n')
    with pytest.raises(SchemaMismatch, match=message):
        schema.head_revision()


def test_the_service_reads_the_revision_of_this_code_without_alembic():
    head = ScriptDirectory(str(schema.migrations_folder())).get_current_head()
    code = (
        "import sys; import machine_monitor.api.app; from machine_monitor.database import schema; "
        "print(schema.head_revision(), 'alembic' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.split() == [head, "False"]
