"""How long the tests of reliability are: short in `make test`, the whole of it in `make proof`."""

import pytest


@pytest.fixture(scope="session")
def extent(pytestconfig):
    """Chooses between how often, or how long, a fault is made in the short form and in the long one."""
    is_long = pytestconfig.getoption("--long")
    return lambda short, long: long if is_long else short
