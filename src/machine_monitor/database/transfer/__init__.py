"""Whole tables as they are kept, from one database to another of either engine, and SQLite files as a whole."""
