"""The client reads lists, records and edits logs, and turns refusals into exceptions."""

from datetime import UTC, date, datetime

import pytest

from client.conftest import MACHINES
from machine_monitor.client import Client, ClientError, Problem, VersionConflict

pytestmark = pytest.mark.slow

LOGS = 1_203


@pytest.fixture(scope="module", autouse=True)
def filled(address):
    """Record the logs that every test finds."""
    with Client(*address) as client:
        items = [
            {
                "machine": MACHINES[number % len(MACHINES)],
                "type": ("error", "info", "reload")[number % 3],
                "started_at": f"2025-07-{1 + number % 28:02}T08:00:00Z",
                "comment": f"number {number}",
                "attributes": {"number": number},
            }
            for number in range(LOGS)
        ]
        for start in range(0, LOGS, 1_000):
            client.request("POST", "/logs/bulk", body={"items": items[start : start + 1_000]})


def numbers(logs):
    return [log["attributes"]["number"] for log in logs]


def test_logs_come_once_from_all_pages(client):
    assert sorted(numbers(client.logs(type=["error", "info", "reload"]))) == [*range(LOGS)]
    assert sorted(numbers(client.logs(sort=["machine", "-started_at"], q="number"))) == [*range(LOGS)]


def test_a_limit_is_the_number_of_logs_in_all(client):
    everything = numbers(client.logs(sort="started_at"))
    for limit in (0, 1, 500, 501, 1_000, LOGS + 1):
        assert numbers(client.logs(sort="started_at", limit=limit)) == everything[:limit]
    assert numbers(client.logs(sort="started_at", limit=700, offset=30)) == everything[30:730]


def test_a_page_has_a_total_and_cursors(client):
    first = client.page("/logs", count="exact", limit=3, fields=["uuid", "comment"])
    assert (len(first.items), first.total, first.total_capped, first.previous) == (3, LOGS, False, None)
    assert all(item.keys() == {"uuid", "comment"} for item in first.items)
    second = client.page("/logs", cursor=first.next, limit=3)
    assert client.page("/logs", cursor=second.previous, limit=3, fields="uuid,comment").items == first.items
    assert [log["uuid"] for log in client.logs(cursor=first.next)][:3] == [log["uuid"] for log in second.items]


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({"machine": "Press 2"}, lambda n: n % 4 == 1),
        ({"machine": ["Press 2", "Saw, blue"]}, lambda n: n % 4 in (1, 2)),
        ({"machine__in": ["Saw, blue", 'Mill "4"']}, lambda n: n % 4 in (2, 3)),
        ({"machine__nin": ("Saw, blue",), "type": "info"}, lambda n: n % 4 != 2 and n % 3 == 1),
        ({"started_at__gte": datetime(2025, 7, 28, tzinfo=UTC)}, lambda n: n % 28 == 27),
        ({"started_at": date(2025, 7, 1)}, lambda n: n % 28 == 0),
        ({"attributes.number__lt": 5}, lambda n: n < 5),
        (
            {"machine.sector": "1A", "cause__isnull": True, "type.counts_as_failure": True},
            lambda n: n % 2 and not n % 3,
        ),
    ],
)
def test_filters_are_those_of_the_api(client, query, matches):
    assert sorted(numbers(client.logs(**query))) == [n for n in range(LOGS) if matches(n)]


def test_machines_and_other_lists(client):
    assert [machine["name"] for machine in client.machines()] == sorted(MACHINES)
    assert [machine["name"] for machine in client.machines(sector="1A")] == ['Mill "4"', "Press 2"]
    assert [user["trigram"] for user in client.walk("/users")] == ["ONE"]
    assert client.machine("SAW, BLUE", fields="name")["name"] == "Saw, blue"


def test_counts_and_sums(client):
    facets = client.facets(["type", "machine"], machine__ne="Press 2", limit=1)["facets"]
    assert facets["machine"] == [{"value": "Lathe 1", "count": 301}]
    groups = client.stats(["machine", "month"], ["count", "failures"])["groups"]
    assert groups[0] == {"machine": "Lathe 1", "month": "2025-07", "count": 301, "failures": 101}
    assert client.stats()["groups"] == [{"count": LOGS}]


@pytest.fixture
def recorded(client):
    """A log that the test changes; it is deleted afterwards, so that the others find only the first ones."""
    log = client.record("lathe 1", "error", comment="Oil", started_at=datetime(2025, 8, 1, 6, tzinfo=UTC))
    yield log
    client.request("DELETE", f"/logs/{log['uuid']}")


def test_a_recorded_log_is_returned_as_it_is_stored(client, recorded):
    assert (recorded["machine"], recorded["started_at"], recorded["user"]) == ("Lathe 1", "2025-08-01T06:00:00Z", "ONE")
    assert client.log(recorded["uuid"]) == recorded


def test_a_call_with_the_same_uuid_records_once(client):
    again = {"uuid": "7a3c1f52-1111-4222-8333-944455556666", "type": "info", "machine": "Press 2", "note": "à l'œil"}
    first = client.record(**again, comment="Checked", severity="minor")
    assert client.record(severity="minor", comment="Checked", **again) == first
    history = list(client.walk(f"/logs/{first['uuid']}/history"))
    assert [(entry["op"], entry["note"]) for entry in history] == [("create", "à l'œil")]
    with pytest.raises(Problem) as refused:
        client.record(**again, comment="Something else")
    assert (refused.value.status, refused.value.code) == (422, "idempotency-key-reused")
    client.request("DELETE", f"/logs/{first['uuid']}")


def test_an_edit_needs_the_version_that_was_read(client, recorded):
    edited = client.edit(recorded["uuid"], recorded["version"], comment=None, attributes={"temp": 80}, note="why")
    assert (edited["version"], edited["comment"], edited["attributes"]) == (2, None, {"temp": 80})
    # Without a repetition, an equal value is a conflict all the same: the caller has not seen version 2.
    with pytest.raises(VersionConflict) as conflict:
        client.edit(recorded["uuid"], recorded["version"], comment=None)
    assert (conflict.value.code, conflict.value.current) == ("version-conflict", edited)


def test_a_refusal_is_a_problem_with_every_sentence(client, address):
    with pytest.raises(Problem) as refused:
        client.record("Lath 1", "erro")
    assert str(refused.value) == (
        "There is no machine 'Lath 1'. Did you mean 'Lathe 1'? There is no log type 'erro'. Did you mean 'error'?"
    )
    assert [error["pointer"] for error in refused.value.errors] == ["/machine", "/type"]
    with pytest.raises(Problem, match="machin") as refused:
        list(client.logs(machin="Lathe 1"))
    assert (refused.value.status, refused.value.code) == (422, "unknown-parameter")
    with pytest.raises(Problem) as refused:
        client.log("7a3c1f52-1111-4222-8333-000000000000")
    assert (refused.value.status, refused.value.code) == (404, "not-found")
    with Client(address[0], "mm_1_wrong") as stranger, pytest.raises(Problem) as refused:
        stranger.machine("Lathe 1")
    assert (refused.value.status, refused.value.code, refused.value.is_temporary) == (401, "unauthenticated", False)


def test_a_request_that_cannot_be_sent_is_not_repeated(client, caplog):
    with pytest.raises(ClientError, match="cannot be sent"):
        client.request("POST", "/logs", headers={"Idempotency-Key": "a\nb"}, body={})
    assert caplog.text == ""


def test_an_answer_that_is_not_json_is_explained(client):
    with pytest.raises(ClientError, match="is it the URL of the service"):
        client.request("GET", "/docs")


def test_address_and_token_come_from_the_environment(address, monkeypatch):
    url, token = address
    monkeypatch.setenv("MM_URL", url)
    monkeypatch.setenv("MM_TOKEN", f"{token}\n")
    with Client() as client:
        assert client.request("GET", "/me")["user"]["trigram"] == "ONE"
