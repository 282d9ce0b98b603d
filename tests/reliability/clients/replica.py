"""A replica of all records, built only from the change feed."""

from collections import Counter
from typing import Any

from reliability.clients.http_client import HttpClient

LISTS = {"logs": "/logs", "machines": "/machines", "users": "/users", "log_types": "/log-types"}
KEYS = {"logs": "uuid", "machines": "name", "users": "trigram", "log_types": "code"}
READ_ONLY = {"id", "version", "created_at", "updated_at"}
Records = dict[str, dict[str, dict[str, Any]]]


class Replica:
    """The records according to the changes read so far; `written` counts how often each comment was written."""

    def __init__(self) -> None:
        self.since = 0
        self.records: Records = {resource: {} for resource in LISTS}
        self.written: Counter[str] = Counter()
        self.sequence_numbers: list[int] = []

    def catch_up(self, http: HttpClient) -> None:
        """Read and apply all new changes."""
        while (page := http.get("/changes", since=self.since, limit=1000))["items"]:
            self.apply(page)

    def apply(self, page: dict[str, Any]) -> None:
        for item in page["items"]:
            self._apply(item)
        self.since = page["next"]

    def _apply(self, item: dict[str, Any]) -> None:
        self.sequence_numbers.append(item["seq"])
        records, key = self.records[item["resource"]], item["key"]
        changed = {name: after for name, (_, after) in item["changes"].items()}
        if item["op"] == "delete":
            del records[key]
            return
        if item["op"] == "rename":
            old = item["changes"]["name"][0]
            records[key] = records.pop(old)
            for log in self.records["logs"].values():
                if log["machine"] == old:
                    log["machine"] = key
        if item["op"] in ("create", "restore"):
            assert key not in records, item
        if item["op"] != "restore" and changed.get("comment") is not None:
            self.written[changed["comment"]] += 1
        records[key] = {name: value for name, value in {**records.get(key, {}), **changed}.items() if value is not None}


def read_all(http: HttpClient) -> Records:
    """Fetch all records that are not deleted."""
    return {
        resource: {record[KEYS[resource]]: record for record in http.walk(path)} for resource, path in LISTS.items()
    }


def writable_values(all_records: Records) -> Records:
    """Reduce records to writable fields with a value, which is what a replica contains."""
    return {
        resource: {
            key: {name: value for name, value in record.items() if name not in READ_ONLY and value is not None}
            for key, record in records.items()
        }
        for resource, records in all_records.items()
    }
