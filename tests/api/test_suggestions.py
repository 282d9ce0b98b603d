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


async def errors(client, resource, *names):
    response = await client.post(f"/{resource.path}", json=resource.body(resource.new_key()) | dict.fromkeys(names, 1))
    assert response.status_code == 422
    return response.json()["errors"]


@pytest.mark.parametrize(("resource", "name", "suggestion"), FIELDS)
async def test_an_unknown_field_gets_a_suggestion(seeded, resource, name, suggestion):
    [error] = await errors(seeded, resource, name)
    sentence = f"There is no field '{name}'. Did you mean '{suggestion}'?"
    assert error == {"message": sentence, "code": "unknown", "pointer": f"/{name}"}


async def test_a_name_that_resembles_none_has_no_suggestion(seeded):
    [error] = await errors(seeded, LOGS, "xyzzy")
    assert error["message"] == "There is no field 'xyzzy'."


async def test_read_only_fields_are_not_suggested(seeded):
    [error] = await errors(seeded, MACHINES, "updatedAt")
    assert "updated_at" not in error["message"]


async def test_long_names_are_cut_and_suggestions_are_limited(seeded):
    [error] = await errors(seeded, LOGS, "machine" * 1_000)
    assert error["message"] == f"There is no field '{('machine' * 1_000)[:MAX_LENGTH]}…'."
    messages = [error["message"] for error in await errors(seeded, LOGS, *(f"machine{i}" for i in range(50)))]
    assert len(messages) == 50
    assert sum("Did you mean" in message for message in messages) == 10
