"""The four resources as rows of tests: the key of a record, a body that creates one, a change of it."""

from dataclasses import dataclass
from itertools import count
from typing import Any

NUMBERS = count(1)


@dataclass(frozen=True)
class Kind:
    path: str
    key: str
    least: dict[str, Any]
    change: dict[str, Any]
    defaults: dict[str, Any]
    bad: dict[str, Any]

    def new_key(self) -> str:
        """A key that no other call gives, the same ones in every run: parallel runs collect the same tests."""
        number = next(NUMBERS)
        if self.key == "uuid":
            return f"00000000-0000-4000-9000-{number:012x}"
        # Letters of both cases, a blank and a sign to encode where a key may have them.
        return f"É% {number:05x}" if self.key == "name" else f"Xy-{number:05x}"

    def body(self, key: str) -> dict[str, Any]:
        return {self.key: key, **self.least}

    def at(self, key: str) -> str:
        return f"/{self.path}/{key.replace('%', '%25').replace('?', '%3F').replace('#', '%23')}"


MACHINES = Kind(
    "machines",
    "name",
    {},
    {"sector": "2B"},
    dict.fromkeys(("sector", "usage", "manufacturer", "model", "serial_number", "year_of_acquisition", "comment"), None)
    | {"in_service": True, "attributes": {}},
    {"year_of_acquisition": 1899},
)
LOGS = Kind(
    "logs",
    "uuid",
    {"machine": "pelle 2", "type": "info"},
    {"comment": "huile"},
    dict.fromkeys(("comment", "cause", "action", "project", "user", "ended_at", "down_from", "down_to"), None)
    | {"severity": "info", "status": "done", "attributes": {}},
    {"severity": "bad"},
)
TYPES = Kind(
    "log-types", "code", {}, {"label": "autre"}, {"counts_as_failure": False, "active": True}, {"active": "yes"}
)
USERS = Kind(
    "users",
    "trigram",
    {},
    {"last_name": "Ü"},
    {"first_name": None, "last_name": None, "role": "operator", "active": True},
    {"role": "boss"},
)
KINDS = (MACHINES, LOGS, TYPES, USERS)


async def create(client, kind: Kind, **more) -> tuple[str, dict]:
    """The key of a new record, and the record."""
    key = kind.new_key()
    answer = await client.post(f"/{kind.path}", json=kind.body(key) | more)
    assert answer.status_code == 201, answer.text
    return key, answer.json()


async def entries(client, kind: Kind, key: str) -> list[dict]:
    """The history of a record, newest first."""
    answer = await client.get(f"{kind.at(key)}/history")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]
