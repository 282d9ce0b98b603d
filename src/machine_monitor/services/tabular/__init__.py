"""Export records to NDJSON, CSV and Excel files, and import NDJSON and CSV."""

from machine_monitor.services.tabular.attached_files import save_files
from machine_monitor.services.tabular.files import ExportRequest, save
from machine_monitor.services.tabular.imports import import_file

__all__ = ["ExportRequest", "import_file", "save", "save_files"]
