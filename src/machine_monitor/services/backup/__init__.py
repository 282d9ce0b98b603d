"""Backup, restore and copy of a whole database. Each compares its result with the source, and fails if they differ."""

from machine_monitor.services.backup.copying import Stores, copy
from machine_monitor.services.backup.restoring import restore
from machine_monitor.services.backup.saving import save

__all__ = ["Stores", "copy", "restore", "save"]
