"""Import tables: read any common format, map its columns to fields, and write the records batch by batch."""

from machine_monitor.services.imports.files import ForeignTable, ImportFile, import_file, open_file, propose_file
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.imports.report import ImportReport

__all__ = ["ForeignTable", "ImportFile", "ImportOptions", "ImportReport", "import_file", "open_file", "propose_file"]
