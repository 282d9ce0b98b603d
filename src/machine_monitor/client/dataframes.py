"""Records as a pandas DataFrame."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from machine_monitor.client.lists import Record

if TYPE_CHECKING:
    import pandas as pd  # ty: ignore[import-not-found] -- optional

TIMES = frozenset({"at", "down_from", "down_to"})


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
        if name in TIMES or name.endswith("_at"):
            frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
    return frame


def _flatten(record: Record) -> dict[str, Any]:
    attributes = record.get("attributes", {})
    flat = {name: value for name, value in record.items() if name != "attributes"}
    return flat | {f"attributes.{key}": value for key, value in attributes.items()}
