"""Tables of imports: saved mappings, imported files, and where the records of the legacy tool came from.

They are not records: mappings and imports have no history. Each row says who wrote it and when, an import also the
mapping that it used, and the history of each imported record names its import by its request id.
"""

from machine_monitor.models.imports.file_import import FILE_IMPORTS
from machine_monitor.models.imports.legacy import LEGACY_IMPORTS
from machine_monitor.models.imports.saved_mapping import MAPPINGS

__all__ = ["FILE_IMPORTS", "LEGACY_IMPORTS", "MAPPINGS"]
