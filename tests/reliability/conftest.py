"""How long the tests of reliability are: short in `pytest`, the whole of it with `pytest --long`."""

from typing import NamedTuple

import pytest

LONG_SECONDS = 3_600


class Extent(NamedTuple):
    """How often a fault is made, and how many times as long it and the traffic beside it last."""

    rounds: int
    factor: int


@pytest.fixture(scope="session")
def extent(pytestconfig) -> Extent:
    return Extent(rounds=10, factor=4) if pytestconfig.getoption("--long") else Extent(rounds=1, factor=1)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        for item in items:
            if "reliability" in item.path.parts:
                item.add_marker(pytest.mark.timeout(LONG_SECONDS))
