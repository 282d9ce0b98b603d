"""The four resources as test parameters: their key, a minimal body, a change, their defaults, a bad field."""

from dataclasses import dataclass
from itertools import count
from typing import Any

NUMBERS = count(1)


@dataclass(frozen=True)
class ResourceCase:
    path: str
    key: str
    minimal_body: dict[str, Any]
    change: dict[str, Any]
    defaults: dict[str, Any]
    bad: dict[str, Any]

    def new_key(self) -> str:
        """Return a new key. Keys are the same in every run, because parallel workers must collect the same tests."""
        number = next(NUMBERS)
        if self.key == "uuid":
            return f"00000000-0000-4000-9000-{number:012x}"
        # Upper and lower case and, where a key allows them, an accent, a space and a percent sign, which URLs encode.
        return f"É% {number:05x}" if self.key == "name" else f"Xy-{number:05x}"

    def body(self, key: str) -> dict[str, Any]:
        return {self.key: key, **self.minimal_body}

    def path_of(self, key: str) -> str:
        return f"/{self.path}/{key.replace('%', '%25').replace('?', '%3F').replace('#', '%23')}"


MACHINES = ResourceCase(
    "machines",
    "name",
    {},
    {"sector": "2B"},
    dict.fromkeys(("sector", "usage", "manufacturer", "model", "serial_number", "year_of_acquisition", "comment"), None)
    | {"in_service": True, "listed": True, "attributes": {}},
    {"year_of_acquisition": 1899},
)
LOGS = ResourceCase(
    "logs",
    "uuid",
    {"machine": "pelle 2", "type": "info"},
    {"comment": "huile"},
    dict.fromkeys(
        ("comment", "cause", "action", "project", "user", "ended_at", "down_from", "down_to", "down_kind"), None
    )
    | {"severity": "info", "status": "done", "attributes": {}},
    {"severity": "bad"},
)
TYPES = ResourceCase(
    "log-types", "code", {}, {"label": "autre"}, {"counts_as_failure": False, "active": True}, {"active": "yes"}
)
USERS = ResourceCase(
    "users",
    "trigram",
    {},
    {"last_name": "Ü"},
    {"first_name": None, "last_name": None, "role": "operator", "active": True},
    {"role": "boss"},
)
RESOURCES = (MACHINES, LOGS, TYPES, USERS)


async def create(client, resource: ResourceCase, **more) -> tuple[str, dict]:
    """Create a record and return its key and the record."""
    key = resource.new_key()
    answer = await client.post(f"/{resource.path}", json=resource.body(key) | more)
    assert answer.status_code == 201, answer.text
    return key, answer.json()


async def entries(client, resource: ResourceCase, key: str) -> list[dict]:
    """Return the history of a record, newest entry first."""
    answer = await client.get(f"{resource.path_of(key)}/history")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]
