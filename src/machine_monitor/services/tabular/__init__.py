"""Records as files that other programs read, and back: NDJSON, CSV, Excel."""

from machine_monitor.services.tabular.files import Wish, save
from machine_monitor.services.tabular.imports import import_file

__all__ = ["Wish", "import_file", "save"]
