"""The MCP server: eight tools with which an assistant reads and writes logs, over the client.

It acts with the token that the client has, so roles and scopes hold as everywhere. Responses are small: ten records, a
few fields, texts cut to `MAX_TEXT` characters; an assistant asks for more by `limit`, `fields` and `cursor`, and for a
whole record by `get_log`. All sentences of this module are read by a model with each conversation: keep them short.
"""

import json
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from inspect import getdoc
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from machine_monitor.client import Client, ClientError, VersionConflict
from machine_monitor.client.lists import page_of

INSTRUCTIONS = """\
Machine Monitor records interventions on machines: breakdowns, repairs, checks.
Filters are an object, for example {"type": "error", "machine": "Lathe 1", "machine.sector": "1A",
"started_at__gte": "-7d", "severity__in": "major,critical", "cause__isnull": "true"}. Operators: ne lt lte gt gte in nin
contains startswith endswith isnull. Days are 2025-07-25, today, yesterday, -7d, -3m. `q` finds words in any text:
"a phrase", -without, begin*. If a response has `next`, pass it as `cursor` with the same filters.
"""
LOG_FIELDS = "started_at,machine,type,severity,status,comment,user,uuid"
MACHINE_FIELDS = "name,sector,usage,manufacturer,model,in_service"
MAX_TEXT = 300
MAX_GROUPS = 100

Filters = Annotated[dict[str, Any], Field(description="field or field__op: value")]
Query = Annotated[str, Field(description="words")]
Limit = Annotated[int, Field(ge=1, le=100)]


class Tools:
    """The tools. Their docstrings are their descriptions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find_logs(
        self,
        q: Query = "",
        filters: Filters = {},  # noqa: B006 -- never changed; None would be part of the schema
        fields: str = LOG_FIELDS,
        limit: Limit = 10,
        cursor: str = "",
    ) -> str:
        """Find logs, newest first. Long texts are cut: get_log has them whole.

        filters such as {"type": "error", "machine.sector": "1A", "started_at__gte": "-7d", "severity__gte": "major"};
        `sort` may be among them.
        """
        query = _query(filters, q=q, fields=fields, limit=limit, cursor=cursor)
        return self._page("/logs", query)

    def get_log(self, uuid: str) -> str:
        """Get a log with all its fields, and its version for edit_log."""
        return _json(self._client.log(uuid))

    def facets(self, by: str = "type,machine", q: Query = "", filters: Filters = {}, limit: Limit = 10) -> str:  # noqa: B006 -- as above
        """Count logs by values, most frequent first.

        by: fields such as machine, type, severity, status, user, machine.sector, machine.usage, attributes.shift.
        """
        return _json(self._get("/logs/facets", _query(filters, by=by, q=q, limit=limit)))

    def stats(self, group_by: str = "", metrics: str = "count", q: Query = "", filters: Filters = {}) -> str:  # noqa: B006 -- as above
        """Sum count, failures, downtime (seconds). group_by: up to 3 of by in facets, and day, week, month or year."""
        stats = self._get("/logs/stats", _query(filters, group_by=group_by, metrics=metrics, q=q))
        groups = stats["groups"]
        cut = stats["truncated"] or len(groups) > MAX_GROUPS
        return _json({"groups": groups[:MAX_GROUPS], "truncated": cut})

    def machines(
        self,
        q: Query = "",
        filters: Filters = {},  # noqa: B006 -- as above
        fields: str = MACHINE_FIELDS,
        limit: Limit = 10,
        cursor: str = "",
    ) -> str:
        """Find machines by words or filters. Filter by name for one machine; fields=* for all fields."""
        query = _query(filters, q=q, fields=fields, limit=limit, cursor=cursor)
        return self._page("/machines", query)

    def history(self, log: str = "", machine: str = "", limit: Limit = 10, cursor: str = "") -> str:
        """Show who changed a log (its uuid) or a machine (its name), when, and what: [before, after]."""
        if bool(log) == bool(machine):
            raise ToolError("Give either log or machine.")
        path = f"/logs/{quote(log, safe='')}" if log else f"/machines/{quote(machine, safe='')}"
        return self._page(f"{path}/history", _query({}, limit=limit, cursor=cursor))

    def add_log(
        self,
        machine: str,
        type: str,  # noqa: A002 -- the name of the field
        comment: str,
        severity: str = "info",
        more: Annotated[dict[str, Any], Field(description="other fields: cause, action, started_at, ...")] = {},  # noqa: B006 -- as above
    ) -> str:
        """Record a log. severity: info, minor, major, critical. more.status: open, in_progress, done (default)."""
        fields = {"machine": machine, "type": type, "comment": comment, "severity": severity}
        _refuse_parameters("more", more, fields)
        uuid = str(more.get("uuid") or uuid4())
        body = {**fields, **more, "uuid": uuid}
        return _json(self._client.request("POST", "/logs", body=body, headers={"Idempotency-Key": uuid}))

    def edit_log(self, uuid: str, version: int, changes: dict[str, Any], why: str = "") -> str:
        """Change fields of a log; null clears one. version is that of get_log."""
        if "note" in changes:
            raise ToolError("A log has no field 'note'. Say why it is changed in why.")
        return _json(self._client.edit(uuid, version, note=why or None, **changes))

    # Filters are a mapping all the way: as keyword arguments, their names could be those of a method's parameters.
    def _get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        return self._client.request("GET", path, params=query)

    def _page(self, path: str, query: dict[str, Any]) -> str:
        page = page_of(self._get(path, query))
        items = [{name: _cut_texts(value) for name, value in item.items() if value is not None} for item in page.items]
        return _json({"items": items, "next": page.next})


READS, ADDS, CHANGES = ToolAnnotations(read_only_hint=True), ToolAnnotations(destructive_hint=False), ToolAnnotations()
TOOLS = {
    "find_logs": READS,
    "get_log": READS,
    "facets": READS,
    "stats": READS,
    "machines": READS,
    "history": READS,
    "add_log": ADDS,
    "edit_log": CHANGES,
}


def create_server(client: Client) -> MCPServer:
    """Return a server whose tools use this client."""
    server = MCPServer(
        "machine-monitor", instructions=INSTRUCTIONS, version=version("machine-monitor"), log_level="WARNING"
    )
    tools = Tools(client)
    for name, hints in TOOLS.items():
        tool = _explained(getattr(tools, name))
        server.add_tool(tool, description=getdoc(tool), annotations=hints, structured_output=False)
    return server


def _explained(tool: Callable[..., str]) -> Callable[..., str]:
    """Return the tool with its refusals as sentences for the model; any other exception would be hidden from it."""

    @wraps(tool)
    def run(**arguments: Any) -> str:
        try:
            return tool(**arguments)
        except VersionConflict as conflict:
            raise ToolError(f"{conflict} Current: {_json(_cut_texts(conflict.current))}") from conflict
        except (ClientError, TypeError, ValueError) as error:
            raise ToolError(str(error)) from error

    return run


def _query(filters: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Return the query of a list: the filters, and the arguments that were given; `fields=*` stands for all."""
    _refuse_parameters("filters", filters, given)
    return {**filters, **{name: value for name, value in given.items() if value not in ("", "*")}}


def _refuse_parameters(name: str, members: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Raise `ToolError` if an object names a parameter of its tool, because only one of the two values can count."""
    if twice := sorted(members.keys() & parameters.keys()):
        raise ToolError(f"Give {' and '.join(twice)} as parameters of the tool, not in {name}.")


def _cut_texts(value: Any) -> Any:
    """Return a JSON value with its long texts cut, also those inside lists and objects."""
    if isinstance(value, dict):
        return {name: _cut_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_cut_texts(each) for each in value]
    return f"{value[:MAX_TEXT]}..." if isinstance(value, str) and len(value) > MAX_TEXT else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
