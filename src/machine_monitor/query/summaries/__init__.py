"""Facets and stats: how many records there are, by their fields and by the site's calendar."""
