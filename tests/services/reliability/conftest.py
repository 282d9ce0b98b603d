from query.conftest import seeded_url

__all__ = ["seeded_url"]
