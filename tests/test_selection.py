from types import SimpleNamespace

import pytest

from selection import is_quick


def item(*markers, fixtures=(), **parameters):
    """A test as pytest has collected it."""
    found = [SimpleNamespace(name=name) for name in markers]
    callspec = {"callspec": SimpleNamespace(params=parameters)} if parameters else {}
    return SimpleNamespace(iter_markers=lambda: iter(found), fixturenames=list(fixtures), **callspec)


@pytest.mark.parametrize(
    "quick",
    [
        item(),
        item("untraced", fixtures=["client", "database_url"], database_url="sqlite", number=[1]),
        item("parametrize", database_url="sqlite", target="sqlite", body={"name": "postgresql"}),
    ],
)
def test_a_test_on_sqlite_is_quick(quick):
    assert is_quick(quick)


@pytest.mark.parametrize(
    "left_out",
    [
        *[item("untraced", name) for name in ("slow", "plans", "proof", "outside")],
        *[item(fixtures=["site", name]) for name in ("chromium", "npx", "shared", "postgresql_database_url")],
        item(database_url="postgresql"),
        item(database_url="sqlite", target="postgresql"),
    ],
)
def test_what_needs_another_engine_a_browser_a_program_or_time_is_left_out(left_out):
    assert not is_quick(left_out)
