"""Records as a pandas DataFrame."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from machine_monitor.client.lists import Record

if TYPE_CHECKING:
    import pandas as pd  # ty: ignore[import-not-found] -- optional

# The fields of the API that are times. An attribute may have any name, and is never one.
TIMES = frozenset(
    {
        "at", "created_at", "updated_at", "started_at", "ended_at", "down_from", "down_to", "last_log_at",
        "last_used_at", "expires_at",
    }
)  # fmt: skip


def to_dataframe(records: Iterable[Record]) -> "pd.DataFrame":
    """Return records as a DataFrame: times are UTC timestamps, and each attribute is a column `attributes.KEY`.

    Raises `ImportError` without pandas, which no extra installs.
    """
    try:
        import pandas as pd  # noqa: PLC0415  # ty: ignore[import-not-found] -- optional
    except ModuleNotFoundError:
        raise ImportError("to_dataframe needs pandas: pip install pandas.") from None
    frame = pd.DataFrame([_flatten(record) for record in records])
    for name in frame.columns:
        if is_time(name):
            frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
    return frame


def is_time(name: str) -> bool:
    """Whether a column, such as `started_at` or `machine.created_at`, is a field that is a time."""
    *path, last = name.split(".")
    return last in TIMES and "attributes" not in path


def _flatten(record: Record) -> dict[str, Any]:
    attributes = record.get("attributes", {})
    flat = {name: value for name, value in record.items() if name != "attributes"}
    return flat | {f"attributes.{key}": value for key, value in attributes.items()}
