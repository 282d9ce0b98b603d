"""How long the tests of reliability are: short in `make test`, the whole of it in `make proof`."""

import pytest


def pytest_itemcollected(item):
    """Other tests run the same lines, and what is done here is done often."""
    item.add_marker("untraced")


@pytest.fixture(scope="session")
def extent(pytestconfig):
    """Chooses between how often, or how long, a fault is made in the short form and in the long one."""
    is_long = pytestconfig.getoption("--long")
    return lambda short, long: long if is_long else short
