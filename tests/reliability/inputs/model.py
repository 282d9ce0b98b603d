"""A model of the write operations with dictionaries: the records after each operation, and its status."""

import unicodedata
from copy import deepcopy
from typing import Any

DEFAULTS = {
    "severity": "info",
    "status": "done",
    "comment": None,
    "cause": None,
    "action": None,
    "project": None,
    "user": None,
    "ended_at": None,
    "down_from": None,
    "down_to": None,
    "down_kind": None,
    "attributes": {},
}
PRESERVED_ON_PUT = ("started_at", "user")
STATUSES = {"created": 201, "updated": 200, "unchanged": 200, "gone": 410, "unknown-machine": 422}
Record = dict[str, Any]


def unique_key(name: str) -> str:
    """Return the unique key of a machine's name, which is equal for all its spellings."""
    return unicodedata.normalize("NFC", name).casefold()


class Model:
    """Machines by their unique key, logs by uuid in the order of writing, and their versions and histories."""

    def __init__(self) -> None:
        self.machines: dict[str, str] = {}
        self.logs: dict[str, Record] = {}
        self.deleted: set[str] = set()
        self.versions: dict[str, int] = {}
        self.histories: dict[str, list[tuple[str, int]]] = {}

    @property
    def visible_logs(self) -> list[Record]:
        """Return the logs that are not deleted, in the order of writing."""
        return [log for uuid, log in self.logs.items() if uuid not in self.deleted]

    def add_machine(self, name: str) -> int:
        if unique_key(name) in self.machines:
            return 409
        self.machines[unique_key(name)] = name
        return 201

    def rename(self, name: str, new: str) -> int:
        old = self.machines.get(unique_key(name))
        if old is None:
            return 404
        if unique_key(new) != unique_key(old) and unique_key(new) in self.machines:
            return 409
        del self.machines[unique_key(old)]
        self.machines[unique_key(new)] = new
        for uuid, log in self.logs.items():
            if new != old and log["machine"] == old:
                log["machine"] = new
                self.versions[uuid] += 1
        return 200

    def delete_machine(self, name: str) -> int:
        stored = self.machines.get(unique_key(name))
        if stored is None:
            return 404
        if any(log["machine"] == stored for log in self.logs.values()):
            return 409
        del self.machines[unique_key(name)]
        return 204

    def post(self, uuid: str, body: Record) -> int:
        return 409 if uuid in self.logs else STATUSES[self.put(uuid, body)]

    def put(self, uuid: str, body: Record) -> str:
        """Apply a PUT; return its outcome as in the results of a bulk call."""
        stored, machine = self.logs.get(uuid), self.machines.get(unique_key(body["machine"]))
        if uuid in self.deleted:
            return "gone"
        if machine is None:
            return "unknown-machine"
        preserved = {name: stored[name] for name in PRESERVED_ON_PUT} if stored else {}
        log = {"uuid": uuid, **DEFAULTS, **preserved, **body, "machine": machine}
        if log == stored:
            return "unchanged"
        self.logs[uuid] = log
        self._note(uuid, "update" if stored else "create")
        return "updated" if stored else "created"

    def patch(self, uuid: str, body: Record) -> int:
        if uuid not in self.logs:
            return 404
        if uuid in self.deleted:
            return 410
        attributes = self.logs[uuid]["attributes"] | body.get("attributes", {})
        non_null = {name: value for name, value in attributes.items() if value is not None}
        return STATUSES[self.put(uuid, {**self.logs[uuid], **body, "attributes": non_null})]

    def delete(self, uuid: str) -> int:
        if uuid not in self.logs:
            return 404
        if uuid in self.deleted:
            return 410
        self.deleted.add(uuid)
        self._note(uuid, "delete")
        return 204

    def restore(self, uuid: str) -> int:
        if uuid not in self.logs:
            return 404
        if uuid not in self.deleted:
            return 409
        self.deleted.remove(uuid)
        self._note(uuid, "restore")
        return 200

    def bulk(self, items: list[Record], *, atomic: bool) -> list[str] | None:
        """Apply a bulk call; return the outcome of each item, or None if an atomic call is rejected."""
        before, uuids, outcomes = deepcopy(vars(self)), set(), []
        for item in items:
            repeated = item["uuid"] in uuids
            uuids.add(item["uuid"])
            outcome = "error" if repeated else self.put(item["uuid"], item)
            outcomes.append(outcome if outcome in ("created", "updated", "unchanged") else "error")
        if atomic and "error" in outcomes:
            vars(self).update(before)
            return None
        return outcomes

    def _note(self, uuid: str, op: str) -> None:
        self.versions[uuid] = self.versions.get(uuid, 0) + 1
        self.histories.setdefault(uuid, []).append((op, self.versions[uuid]))
