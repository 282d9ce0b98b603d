"""Export records to NDJSON, CSV and Excel files."""

from machine_monitor.services.tabular.attached_files import save_files
from machine_monitor.services.tabular.files import ExportRequest, save

__all__ = ["ExportRequest", "save", "save_files"]
