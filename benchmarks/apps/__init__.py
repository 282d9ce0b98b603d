"""The two that the product is measured against: the naive twin, and the limit."""
