"""Saves the results as files, and shows them as a table and a chart."""
