"""The selection of tests that `make quick` runs."""

from types import SimpleNamespace

import pytest

from quick_selection import is_quick


def item(*markers, fixtures=(), **parameters):
    """Build a stand-in for a collected test."""
    marks = [SimpleNamespace(name=name) for name in markers]
    callspec = {"callspec": SimpleNamespace(params=parameters)} if parameters else {}
    return SimpleNamespace(iter_markers=lambda: iter(marks), fixturenames=list(fixtures), **callspec)


@pytest.mark.parametrize(
    "quick",
    [
        item(),
        item("untraced", fixtures=["client", "database_url"], database_url="sqlite", number=[1]),
        item("parametrize", database_url="sqlite", target="sqlite", body={"name": "postgresql"}),
    ],
)
def test_a_plain_test_on_sqlite_is_quick(quick):
    assert is_quick(quick)


@pytest.mark.parametrize(
    "excluded",
    [
        *[item("untraced", name) for name in ("slow", "plans", "proof", "outside")],
        *[item(fixtures=["site", name]) for name in ("chromium", "npx", "shared", "postgresql_database_url")],
        item(database_url="postgresql"),
        item(database_url="sqlite", target="postgresql"),
    ],
)
def test_slow_tests_and_tests_that_need_postgresql_or_programs_are_excluded(excluded):
    assert not is_quick(excluded)
