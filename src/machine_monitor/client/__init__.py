"""The Python client of a Machine Monitor service: read lists, record and edit logs, follow the changes.

    from machine_monitor.client import Client

    with Client("http://localhost:8000", token="mm_...") as client:
        for log in client.logs(type="error", started_at__gte="-7d"):
            print(log["machine"], log["comment"])

It needs the extra `client` and nothing else of this package. See docs/connect/python.md.
"""

try:
    import httpx2 as _httpx2  # noqa: F401 -- only to explain what to install if it is missing
except ModuleNotFoundError:
    message = (
        "machine_monitor.client needs the package httpx2: "
        "install machine-monitor with its extra `client`, or `pip install httpx2`."
    )
    raise ImportError(message) from None

from machine_monitor.client.client import Client
from machine_monitor.client.dataframes import to_dataframe
from machine_monitor.client.errors import ClientError, HistoryReplaced, Problem, Unavailable, VersionConflict
from machine_monitor.client.following import START, Batch
from machine_monitor.client.lists import Page, Record

__all__ = [
    "START",
    "Batch",
    "Client",
    "ClientError",
    "HistoryReplaced",
    "Page",
    "Problem",
    "Record",
    "Unavailable",
    "VersionConflict",
    "to_dataframe",
]
