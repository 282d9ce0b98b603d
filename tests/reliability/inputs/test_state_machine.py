"""Model-based test: after any sequence of writes, the API agrees with a model made of dictionaries."""

import asyncio
from collections import Counter
from typing import ClassVar
from urllib.parse import quote

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from conftest import ENGINES, new_database, serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify
from query import oracle
from reliability.clients import replica
from reliability.inputs.model import STATUSES, Model, unique_key

UUIDS = st.sampled_from([f"0000000{number}-0000-4000-8000-000000000000" for number in range(8)])
# Two of these are spellings of the same name.
NAMES = st.sampled_from(["Saw", "SAW", "Écluse", "Grue_100%", "pelle 2"])
SEVERITIES = oracle.RANKS["severity"]
TEXTS = ["", "fuite d'huile", "Huile", "50%", "vidange PN-0042"]
FIELDS = {
    "severity": st.sampled_from(SEVERITIES),
    "status": st.sampled_from(["open", "in_progress", "done", "cancelled"]),
    "comment": st.sampled_from([None, *TEXTS]),
    "project": st.sampled_from([None, "P1", "p_1"]),
    "attributes": st.dictionaries(st.sampled_from(["temp", "note"]), st.sampled_from([80, "80", True]), max_size=2),
}
INSTANTS = st.sampled_from(["2025-07-25T13:18:25Z", "2025-01-01T00:00:00Z", "2025-07-25T13:18:25.500000Z"])
ALWAYS = {"machine": NAMES, "type": st.sampled_from(["info", "error"]), "started_at": INSTANTS}
BODIES = st.fixed_dictionaries(ALWAYS, optional=FIELDS)
ATTRIBUTE_PATCHES = st.dictionaries(st.sampled_from(["temp", "note"]), st.sampled_from([None, 81, "x"]), max_size=2)
PATCHES = st.fixed_dictionaries({}, optional=FIELDS | {"machine": NAMES, "attributes": ATTRIBUTE_PATCHES})
CONDITIONS = st.one_of(
    st.tuples(st.just("machine"), st.sampled_from(["", "ne"]), NAMES),
    st.tuples(st.just("severity"), st.sampled_from(["", "gte", "lt"]), FIELDS["severity"]),
    st.tuples(st.just("status"), st.sampled_from(["", "ne"]), FIELDS["status"]),
    st.tuples(st.just("comment"), st.sampled_from(["", "ne", "contains", "lt"]), st.sampled_from(TEXTS)),
    st.tuples(st.just("started_at"), st.sampled_from(["gt", "lte"]), INSTANTS),
)
SORTS = st.sampled_from(["-started_at", "started_at", "machine", "-comment,severity", "project,-status"])


class ApiStateMachine(RuleBasedStateMachine):
    """A database with the API, and the model that it must agree with."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self, database_context):
        super().__init__()
        self.database_context, self.model = database_context, Model()
        self.url = database_context.__enter__()
        self.runner = asyncio.Runner()
        self.server = serving(Settings(database_url=self.url))
        self.client = self.runner.run(self.server.__aenter__())
        self.counts["databases"] += 1

    def teardown(self):
        try:
            changes = replica.Replica()
            changes.apply(self.get("/changes", limit=1000))
            no_files = {"attachments": [], "attachment_count": 0}
            logs = {
                log["uuid"]: {k: v for k, v in log.items() if v is not None} | no_files
                for log in self.model.visible_logs
            }
            assert changes.records["logs"] == logs
        finally:
            # An open connection would keep the process alive.
            self.runner.run(self.server.__aexit__(None, None, None))
            self.runner.close()
        database = Database(self.url)
        assert verify(database).faults == []
        database.close_writer()
        self.database_context.__exit__(None, None, None)

    def send(self, method, path, body=None, query=()):
        self.counts["requests"] += 1
        return self.runner.run(self.client.request(method, path, json=body, params=list(query) or None))

    def get(self, path, *query, **parameters):
        response = self.send("GET", path, query=[*query, *parameters.items()])
        assert response.status_code == 200, response.text
        return response.json()

    def agree(self, response, expected):
        assert response.status_code == expected, response.text

    @rule(name=NAMES)
    def add_machine(self, name):
        self.agree(self.send("POST", "/machines", {"name": name}), self.model.add_machine(name))

    @rule(name=NAMES, new=NAMES)
    def rename(self, name, new):
        self.agree(self.send("PATCH", f"/machines/{quote(name)}", {"name": new}), self.model.rename(name, new))

    @rule(name=NAMES)
    def delete_machine(self, name):
        self.agree(self.send("DELETE", f"/machines/{quote(name)}"), self.model.delete_machine(name))

    @rule(uuid=UUIDS, body=BODIES)
    def post(self, uuid, body):
        self.agree(self.send("POST", "/logs", {"uuid": uuid, **body}), self.model.post(uuid, body))

    @rule(uuid=UUIDS, body=BODIES)
    def put(self, uuid, body):
        self.agree(self.send("PUT", f"/logs/{uuid}", body), STATUSES[self.model.put(uuid, body)])

    @rule(uuid=UUIDS, body=PATCHES)
    def patch(self, uuid, body):
        self.agree(self.send("PATCH", f"/logs/{uuid}", body), self.model.patch(uuid, body))

    @rule(uuid=UUIDS)
    def delete(self, uuid):
        self.agree(self.send("DELETE", f"/logs/{uuid}"), self.model.delete(uuid))

    @rule(uuid=UUIDS)
    def restore(self, uuid):
        self.agree(self.send("POST", f"/logs/{uuid}/restore"), self.model.restore(uuid))

    @rule(items=st.lists(st.tuples(UUIDS, BODIES), min_size=1, max_size=4), atomic=st.booleans())
    def bulk(self, items, atomic):
        sent = [{"uuid": uuid, **body} for uuid, body in items]
        response = self.send("POST", "/logs/bulk", {"mode": "atomic" if atomic else "partial", "items": sent})
        expected = self.model.bulk(sent, atomic=atomic)
        self.agree(response, 422 if expected is None else 200)
        assert expected is None or [result["status"] for result in response.json()["results"]] == expected

    @rule(uuid=UUIDS)
    def history(self, uuid):
        response = self.send("GET", f"/logs/{uuid}/history")
        self.agree(response, 200 if uuid in self.model.logs else 404)
        entries = [(entry["op"], entry["version"]) for entry in response.json().get("items", [])]
        assert entries == self.model.histories.get(uuid, [])[::-1]

    # At most one condition per field and operator: repeated ones would mean any of the values.
    @rule(
        chosen=st.lists(CONDITIONS, max_size=2, unique_by=lambda condition: condition[:2]),
        sort=SORTS,
        limit=st.integers(1, 4),
    )
    def walk(self, chosen, sort, limit):
        expected = [
            log
            for log in self.model.visible_logs
            if all(oracle.holds(log, name, op, [text]) for name, op, text in chosen)
        ]
        query = [(name + (op and f"__{op}"), text) for name, op, text in chosen]
        page = self.get("/logs", *query, sort=sort, limit=limit)
        items = page["items"]
        while page["next"] is not None:
            page = self.get("/logs", *query, sort=sort, limit=limit, cursor=page["next"])
            items += page["items"]
        assert self.without_metadata(items) == oracle.sort_records(expected, sort, ("started_at",))

    @rule()
    def count(self):
        facets = self.get("/logs/facets", by="type,severity", limit=50)["facets"]
        for name, values in facets.items():
            counts = {value["value"]: value["count"] for value in values}
            assert counts == Counter(log[name] for log in self.model.visible_logs)

    @invariant()
    def everything_agrees(self):
        logs = self.get("/logs", limit=500, sort="started_at")["items"]
        assert {log["uuid"]: log["version"] for log in logs} == {
            log["uuid"]: self.model.versions[log["uuid"]] for log in self.model.visible_logs
        }
        assert self.without_metadata(logs) == oracle.sort_records(
            self.model.visible_logs, "started_at", ("started_at",)
        )
        machines = self.get("/machines", limit=500)["items"]
        assert {unique_key(machine["name"]): machine["name"] for machine in machines} == self.model.machines

    @staticmethod
    def without_metadata(logs):
        hidden = {"version", "created_at", "updated_at", "attachments", "attachment_count"}
        return [{name: value for name, value in log.items() if name not in hidden} for log in logs]


@pytest.mark.proof("Hypothesis state machine against a model")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_api_agrees_with_a_dictionary(request, tmp_path, engine, extent, record_counts):
    ApiStateMachine.counts.clear()
    chosen = settings(max_examples=extent(short=10, long=150), stateful_step_count=extent(short=20, long=50))
    run_state_machine_as_test(lambda: ApiStateMachine(new_database(request, engine, tmp_path)), settings=chosen)
    record_counts(ApiStateMachine.counts["requests"], databases=ApiStateMachine.counts["databases"], divergences=0)
