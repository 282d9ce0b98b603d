"""Settings of the reliability tests."""


def pytest_itemcollected(item):
    """Run these tests without coverage: they repeat the same lines very often, and other tests cover them."""
    item.add_marker("untraced")
