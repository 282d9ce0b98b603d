from query.conftest import seeded, seeded_url

__all__ = ["seeded", "seeded_url"]
