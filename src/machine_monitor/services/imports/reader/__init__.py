"""Read tables of any common format: recognise format, encoding, delimiter and header, and yield their rows."""

from machine_monitor.services.imports.reader.opening import open_table
from machine_monitor.services.imports.reader.table import Cell, ReadOptions, Row, Table

__all__ = ["Cell", "ReadOptions", "Row", "Table", "open_table"]
