"""Which tests `make quick` runs: those on SQLite that need no browser, no process of their own and no long time.

A test is chosen by its parameters, fixtures and markers, so a new test needs no entry in a list. A test that takes more
than a second, waits, or starts processes is marked `slow`.
"""

import pytest

LEFT_OUT_MARKERS = {"slow", "plans", "proof", "outside"}
LEFT_OUT_FIXTURES = {"chromium", "npx", "shared", "postgresql_database_url"}
LEFT_OUT_PARAMETERS = {"postgresql"}


def deselect(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out the tests that `--quick` leaves out."""
    quick = [item for item in items if is_quick(item)]
    config.hook.pytest_deselected(items=[item for item in items if not is_quick(item)])
    items[:] = quick


def is_quick(item: pytest.Item) -> bool:
    """Whether `make quick` runs a test."""
    parameters = getattr(item, "callspec", None)
    values = {value for value in parameters.params.values() if isinstance(value, str)} if parameters else set()
    markers = {marker.name for marker in item.iter_markers()}
    fixtures = set(getattr(item, "fixturenames", ()))
    return not (markers & LEFT_OUT_MARKERS or fixtures & LEFT_OUT_FIXTURES or values & LEFT_OUT_PARAMETERS)
