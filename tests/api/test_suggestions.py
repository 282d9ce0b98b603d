"""An error about an unknown field suggests the field that the client may have meant."""

import pytest

from api.resource_cases import LOGS, MACHINES, TYPES, USERS
from machine_monitor.suggestions import MAX_LENGTH

FIELDS = [
    (LOGS, "machin", "machine"),
    (LOGS, "Comment", "comment"),
    (LOGS, "startedAt", "started_at"),
    (MACHINES, "serialnumber", "serial_number"),
    (USERS, "rôle", "role"),
    (TYPES, "counts_as_failures", "counts_as_failure"),
    # Field names of the first prototype.
    (LOGS, "machineName", "machine"),
    (LOGS, "timeStamp", "started_at"),
    (LOGS, "timestamp", "started_at"),
    (LOGS, "userName", "user"),
    (LOGS, "user_name", "user"),
    (MACHINES, "machineName", "name"),
    (USERS, "userName", "trigram"),
    (USERS, "firstName", "first_name"),
    (USERS, "lastName", "last_name"),
    (USERS, "authorisation", "role"),
]


async def faults(client, resource, *names):
    answer = await client.post(f"/{resource.path}", json=resource.body(resource.new_key()) | dict.fromkeys(names, 1))
    assert answer.status_code == 422
    return answer.json()["errors"]


@pytest.mark.parametrize(("resource", "name", "suggestion"), FIELDS)
async def test_an_unknown_field_gets_a_suggestion(seeded, resource, name, suggestion):
    [fault] = await faults(seeded, resource, name)
    sentence = f"There is no field '{name}'. Did you mean '{suggestion}'?"
    assert fault == {"message": sentence, "code": "unknown", "pointer": f"/{name}"}


async def test_a_name_that_resembles_none_has_no_suggestion(seeded):
    [fault] = await faults(seeded, LOGS, "xyzzy")
    assert fault["message"] == "There is no field 'xyzzy'."


async def test_read_only_fields_are_not_suggested(seeded):
    [fault] = await faults(seeded, MACHINES, "updatedAt")
    assert "updated_at" not in fault["message"]


async def test_long_names_are_cut_and_suggestions_are_limited(seeded):
    [fault] = await faults(seeded, LOGS, "machine" * 1_000)
    assert fault["message"] == f"There is no field '{('machine' * 1_000)[:MAX_LENGTH]}…'."
    messages = [fault["message"] for fault in await faults(seeded, LOGS, *(f"machine{i}" for i in range(50)))]
    assert len(messages) == 50
    assert sum("Did you mean" in message for message in messages) == 10
