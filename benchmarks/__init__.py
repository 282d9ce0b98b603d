"""Measures the product, a naive app, the limit and other frameworks. No imports here: the frameworks run without it."""
