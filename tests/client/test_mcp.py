"""`mm mcp`: the tools over stdio, by the client of the package `mcp`."""

import json
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from mcp import Client, StdioServerParameters

from machine_monitor.client import Client as ServiceClient
from machine_monitor.client import mcp_server
from servers import environment, free_port

pytestmark = pytest.mark.slow

MM = ("-m", "machine_monitor.cli.main")
# With each conversation an assistant reads the list of tools: the whole API would take 261 KB.
MAX_BYTES = 8_192


@asynccontextmanager
async def assistant(url, token):
    """A client of `mm mcp`, which acts on this service."""
    variables = environment(url=url, token=token)
    async with Client(StdioServerParameters(command=sys.executable, args=[*MM, "mcp"], env=variables)) as client:
        yield client


@asynccontextmanager
async def in_process(url, token):
    """The same without a process and stdio."""
    with ServiceClient(url, token) as service:
        async with Client(mcp_server.create_server(service)) as client:
            yield client


async def call(client, tool, **arguments):
    """Return whether the tool failed, and its response: JSON, or the sentence of a failure."""
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    return (True, content.text) if result.is_error else (False, json.loads(content.text))


@pytest.fixture
def viewer(address, client):
    """The token of a supervisor that may only read."""
    body = {"name": "assistant", "scope": "read", "days": 1}
    return address[0], client.request("POST", "/tokens", body=body)["token"]


async def test_an_assistant_reads_and_writes_logs(address, client):
    for number in range(12):
        client.record("Press 2", "info", comment=f"{number} " + "long " * 100, started_at=f"2025-07-01T08:{number:02}Z")
    async with assistant(*address) as tools:
        _, log = await call(tools, "add_log", machine="lathe 1", type="error", comment="Oil", more={"cause": "seal"})
        assert (log["machine"], log["cause"], log["user"]) == ("Lathe 1", "seal", "ONE")
        _, found = await call(
            tools, "find_logs", q="oil", filters={"type": ["error", "reload"], "cause__isnull": False}
        )
        assert found["next"] is None
        assert [item["uuid"] for item in found["items"]] == [log["uuid"]]
        assert (await call(tools, "get_log", uuid=log["uuid"])) == (False, log)
        _, edited = await call(tools, "edit_log", uuid=log["uuid"], version=1, changes={"cause": None}, why="dry")
        assert (edited["version"], edited["cause"]) == (2, None)
        _, shown = await call(tools, "history", log=log["uuid"])
        assert [(entry["op"], entry.get("note")) for entry in shown["items"]] == [("update", "dry"), ("create", None)]
        _, shown = await call(tools, "history", machine="Press 2")
        assert [entry["op"] for entry in shown["items"]] == ["create"]
        _, counted = await call(tools, "facets", filters={"machine": "Press 2"})
        assert counted["facets"]["type"] == [{"value": "info", "count": 12}]
        _, sums = await call(
            tools, "stats", group_by="machine", metrics="count,failures", filters={"uuid": log["uuid"]}
        )
        assert sums["groups"][0] == {"machine": "Lathe 1", "count": 1, "failures": 1}
        _, machines = await call(tools, "machines", filters={"name": "Press 2"}, fields="*")
        assert (machines["items"][0]["sector"], machines["items"][0]["version"]) == ("1A", 1)
        _, first = await call(tools, "find_logs", filters={"machine": "Press 2", "sort": "started_at"})
        assert len(first["items"]) == 10
        assert len(first["items"][0]["comment"]) == mcp_server.MAX_TEXT + len("...")
        assert len(json.dumps(first)) < MAX_BYTES
        _, shown = await call(tools, "history", log=first["items"][0]["uuid"])
        assert len(shown["items"][0]["changes"]["comment"][1]) == mcp_server.MAX_TEXT + len("...")
        query = {"filters": {"machine": "Press 2", "sort": "started_at"}, "cursor": first["next"]}
        _, rest = await call(tools, "find_logs", **query)
        assert ([item["comment"][:2] for item in rest["items"]], rest["next"]) == (["10", "11"], None)


async def test_problems_are_sentences(address, client, viewer):
    log = client.record("Lathe 1", "error")
    client.edit(log["uuid"], 1, comment="by another")
    async with in_process(*address) as tools:
        for tool, arguments, sentence in (
            ("find_logs", {"filters": {"machin": "x"}}, "There is no parameter 'machin'. Did you mean 'machine'?"),
            ("find_logs", {"filters": {"machine": []}}, "'machine' is an empty list"),
            ("add_log", {"machine": "Lath 1", "type": "error", "comment": ""}, "Did you mean 'Lathe 1'?"),
            ("add_log", {"machine": "a", "type": "b", "comment": "", "more": {"machine": "c"}}, "not in more"),
            ("add_log", {"machine": "Lathe 1", "type": "error", "comment": "", "more": {"self": 1}}, "'self'"),
            ("add_log", {"machine": "Lathe 1", "type": "error", "comment": "", "more": {"note": "x"}}, "'note'"),
            ("find_logs", {"filters": {"path": "/users"}}, "There is no parameter 'path'."),
            ("find_logs", {"filters": {"self": 1}}, "There is no parameter 'self'."),
            ("find_logs", {"filters": {"limit": 50, "cursor": "x"}}, "Give cursor and limit as parameters of the tool"),
            ("facets", {"filters": {"by": "user"}}, "Give by as parameters of the tool"),
            ("stats", {"filters": {"group_by": "user"}}, "Give group_by as parameters of the tool"),
            ("edit_log", {"uuid": log["uuid"], "version": 2, "changes": {"note": "x"}}, "no field 'note'"),
            ("edit_log", {"uuid": log["uuid"], "version": 1, "changes": {"cause": "x"}}, '"comment":"by another"'),
            ("edit_log", {"uuid": log["uuid"], "version": 2, "changes": {"uuid": "x"}}, "uuid"),
            ("history", {}, "Give either log or machine."),
            ("get_log", {"uuid": "../users"}, "There is no"),
        ):
            failed, response = await call(tools, tool, **arguments)
            assert (failed, sentence in response) == (True, True), (tool, arguments, response)
    async with in_process(*viewer) as tools:
        assert not (await call(tools, "get_log", uuid=log["uuid"]))[0]
        failed, response = await call(tools, "add_log", machine="Lathe 1", type="error", comment="Oil")
        assert failed
        assert "scope" in response


async def test_the_list_of_tools_is_small():
    server = mcp_server.create_server(ServiceClient("http://localhost:8000"))
    async with Client(server) as tools:
        listed = await tools.list_tools()
        names = [tool.name for tool in listed.tools]
        assert names == ["find_logs", "get_log", "facets", "stats", "machines", "history", "add_log", "edit_log"]
        size = len(listed.model_dump_json(by_alias=True, exclude_none=True).encode())
        assert 1_000 < size + len(mcp_server.INSTRUCTIONS.encode()) < MAX_BYTES
        assert {tool.name for tool in listed.tools if not tool.annotations.read_only_hint} == {"add_log", "edit_log"}


def test_stdout_carries_nothing_but_the_protocol(tmp_path):
    """With a service that is away, so that the client warns on stderr."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    messages = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "get_log", "arguments": {"uuid": "x"}}},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0"} | message) + "\n" for message in messages)
    command, variables = [sys.executable, *MM, "mcp"], environment(url=f"http://127.0.0.1:{free_port()}")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=variables, cwd=tmp_path, **pipes) as process:
        process.stdin.write(lines)
        process.stdin.flush()
        responses = [json.loads(process.stdout.readline()) for _ in range(2)]
        rest, warnings = process.communicate(timeout=30)
    assert ([response["id"] for response in responses], rest) == ([1, 2], "")
    assert "No response from http://127.0.0.1:" in responses[1]["result"]["content"][0]["text"]
    assert "WARNING" in warnings
    # Neither a database nor any other file is made.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("", "Give the URL of the service, such as http://localhost:8000, or set MM_URL"),
        ("sys.modules['mcp'] = None", "needs the extra `mcp` of machine-monitor"),
    ],
)
def test_what_is_missing_is_named(tmp_path, code, sentence):
    program = f"import sys\nsys.argv = ['mm', 'mcp']\n{code}\nfrom machine_monitor.cli.main import main\nmain()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
