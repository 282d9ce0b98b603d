"""Schemathesis searches for requests that violate the OpenAPI document, as a user of each role."""

import subprocess
import sys
from pathlib import Path

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.models import USERS
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import records
from machine_monitor.services.accounts import tokens
from machine_monitor.services.audit.history import ChangeContext
from servers import ForkedService

PROGRAM = Path(sys.executable).with_name("schemathesis")
CONFIGURED = ["--config-file", str(Path(__file__).parents[3] / "schemathesis.toml")]
# The first operation would revoke the token of the test itself. The others are streams: schemathesis compares each
# event with the schema, which describes the whole stream as one text.
SPARED = ("revoke_token", "follow_changes", "follow_import")
# Now and then, Schemathesis cannot use a schema that it has made itself by negating one of the document.
NOT_GENERATED = "Failed to generate test cases for this API operation"
ATTEMPTS = 3
NOBODY = "nobody"
ROLES = (NOBODY, "viewer", "operator", "lead", "supervisor", "admin")


def give_tokens(url):
    """Create a user and a token for each role; return the command line options with their headers."""

    def give(tx, role):
        trigram = role[:3].upper()
        values = USERS.create.model_validate({"trigram": trigram, "role": role}).model_dump(mode="json")
        records.insert(tx, USERS, values, ChangeContext("test"))
        return tokens.issue(tx, trigram, TokenCreate(name="test", scope="admin", days=1), ChangeContext("test"))[1]

    database = Database(url)
    given = {role: database.transact(lambda tx, role=role: give(tx, role)) for role in ROLES if role != NOBODY}
    database.close_writer()
    return {NOBODY: []} | {role: ["--header", f"Authorization: Bearer {token}"] for role, token in given.items()}


def run(command):
    """Run Schemathesis, and again if nothing is wrong but its own generator."""
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if NOT_GENERATED not in done.stdout or "= FAILURES =" in done.stdout:
            break
    return done


@pytest.mark.proof("schemathesis, every check, every role")
def test_no_request_breaks_the_contract(database_url, tmp_path, extent, record_counts):
    headers = give_tokens(database_url)
    examples = extent(short="1", long="4")
    spared = [word for name in SPARED for word in ("--exclude-operation-id", name)]
    with ForkedService(tmp_path, database_url=database_url, files=str(tmp_path / "files"), open=False) as service:
        where = f"http://127.0.0.1:{service.port}/openapi.json"
        for role in extent(short=ROLES[-1:], long=ROLES):
            phases = extent(short="fuzzing,stateful", long="examples,fuzzing,stateful")
            # Coverage takes minutes, and once is enough: a role decides what a user may do, not how a value is read.
            phases += extent(short="", long=",coverage" if role == ROLES[-1] else "")
            chosen = ["--checks", "all", "--phases", phases, "--max-examples", examples]
            command = [PROGRAM, *CONFIGURED, "run", where, *chosen, *spared, *headers[role]]
            done = run(command)
            assert done.returncode == 0, f"{role}:\n{done.stdout}"
            log = service.log.read_text()
            assert '"status":5' not in log, role
    record_counts(log.count('"event":"request"'), status_5xx=0, violations=0, ignored_auth=0)
