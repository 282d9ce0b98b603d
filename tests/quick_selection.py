"""Selects the tests of `make quick`: fast tests on SQLite that need no browser and start no process.

The selection uses the parameters, fixtures and markers of each test, so there is no list to maintain. Mark a test
`slow` if it takes more than a second, waits, or starts processes.
"""

import pytest

EXCLUDED_MARKERS = {"slow", "plans", "proof", "outside"}
EXCLUDED_FIXTURES = {"chromium", "npx", "shared", "postgresql_database_url"}
EXCLUDED_PARAMETERS = {"postgresql"}


def deselect(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that are not quick; called for the option `--quick`."""
    quick = [item for item in items if is_quick(item)]
    config.hook.pytest_deselected(items=[item for item in items if not is_quick(item)])
    items[:] = quick


def is_quick(item: pytest.Item) -> bool:
    """Return whether `make quick` runs a test."""
    parameters = getattr(item, "callspec", None)
    values = {value for value in parameters.params.values() if isinstance(value, str)} if parameters else set()
    markers = {marker.name for marker in item.iter_markers()}
    fixtures = set(getattr(item, "fixturenames", ()))
    return not (markers & EXCLUDED_MARKERS or fixtures & EXCLUDED_FIXTURES or values & EXCLUDED_PARAMETERS)
