"""The mapping language: how the columns of a table become the fields of records."""

from machine_monitor.services.imports.mapping.language import TableMapping, parse, parse_read, read_document, read_file
from machine_monitor.services.imports.mapping.rows import RowMapper

__all__ = ["RowMapper", "TableMapping", "parse", "parse_read", "read_document", "read_file"]
