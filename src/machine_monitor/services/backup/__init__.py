"""Copies of a whole database: into a file and back, and from one database to another; compared, or not made at all."""

from machine_monitor.services.backup.copying import copy
from machine_monitor.services.backup.restoring import restore
from machine_monitor.services.backup.saving import save

__all__ = ["copy", "restore", "save"]
