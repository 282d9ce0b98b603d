"""The length of the reliability tests: short in `make test`, full in `make proof`."""

import pytest


def pytest_itemcollected(item):
    """Run these tests without coverage: they repeat the same lines very often, and other tests cover them."""
    item.add_marker("untraced")


@pytest.fixture(scope="session")
def extent(pytestconfig):
    """A function that selects the short or the long variant of a duration or a number of repetitions."""
    is_long = pytestconfig.getoption("--long")
    return lambda short, long: long if is_long else short
