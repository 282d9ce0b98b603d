"""The client: one method for each thing that programs do most, and `request` for all else."""

import os
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import UUID, uuid4

from machine_monitor.client import following
from machine_monitor.client.errors import ClientError, VersionConflict
from machine_monitor.client.following import START, Batch
from machine_monitor.client.lists import Page, Record, encode_query, page_of
from machine_monitor.client.transport import Transport

MAX_PAGE = 500
Names = str | list[str]


class Client:
    """A client of one service. It may be shared by threads; close it, or use it in `with`.

    `url` and `token` are by default those of the environment variables MM_URL and MM_TOKEN. A request waits `timeout`
    seconds for its response. While the service does not answer, is busy or limits the rate, requests that are safe to
    repeat are repeated for `patience` seconds; then they raise `Unavailable` or the last `Problem`. `verify` is an SSL
    context for a certificate authority of your own; the variable SSL_CERT_FILE does the same.

    All methods raise `Problem` if the service refuses the request.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30,
        patience: float = 60,
        verify: ssl.SSLContext | Literal[True] = True,
    ) -> None:
        url = url or os.environ.get("MM_URL")
        if not url or not url.startswith(("http://", "https://")):
            given = f" '{url}' is none." if url else ""
            raise ClientError(f"Give the URL of the service, such as http://localhost:8000, or set MM_URL.{given}")
        token = (token or os.environ.get("MM_TOKEN") or "").strip()
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ClientError("The token contains characters that no token has: copy it again.")
        self._transport = Transport(url, token, verify, timeout, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # Read

    def logs(self, **query: Any) -> Iterator[Record]:
        """Yield all logs that match, page after page, newest first.

        Filters have the names of the API: `type="error"`, `started_at__gte="-7d"`, `**{"machine.sector": "1A"}`. A list
        means any of its values. `q`, `sort`, `fields` and `expand` work as in the API. `limit` is the number of logs in
        all. A log that nobody changes meanwhile comes exactly once.
        """
        return self.walk("/logs", **query)

    def machines(self, **query: Any) -> Iterator[Record]:
        """Yield all machines that match, by name; the query is like that of `logs`."""
        return self.walk("/machines", **query)

    def walk(self, path: str, **query: Any) -> Iterator[Record]:
        """Yield the records of any list, such as `/users` or `/log-types`; the query is like that of `logs`."""
        wanted = query.pop("limit", None)
        while wanted is None or wanted > 0:
            page = self.page(path, **query, limit=MAX_PAGE if wanted is None else min(wanted, MAX_PAGE))
            yield from page.items
            if page.next is None:
                return
            query = {name: value for name, value in query.items() if name != "offset"} | {"cursor": page.next}
            wanted = None if wanted is None else wanted - len(page.items)

    def page(self, path: str, **query: Any) -> Page:
        """Return one page of a list: for programs that keep its cursors, or want its `total` (`count="exact"`)."""
        return page_of(self.request("GET", path, params=query))

    def log(self, uuid: str, **selection: Any) -> Record:
        """Return a log. Its `version` is for `edit`; `fields` and `expand` work as in the API."""
        return self.request("GET", _path("logs", uuid), params=selection)

    def machine(self, name: str, **selection: Any) -> Record:
        """Return a machine, whatever the case of its name."""
        return self.request("GET", _path("machines", name), params=selection)

    def facets(self, by: Names, **query: Any) -> dict[str, Any]:
        """Count the matching logs by the values of some fields: `facets(["type", "machine"])`."""
        return self.request("GET", "/logs/facets", params={"by": by, **query})

    def stats(self, group_by: Names = "", metrics: Names = "count", **query: Any) -> dict[str, Any]:
        """Count logs and failures and sum downtime, in groups: `stats(["machine", "month"], "downtime")`."""
        groups = {"group_by": group_by} if group_by else {}
        return self.request("GET", "/logs/stats", params={**groups, "metrics": metrics, **query})

    # Write

    def record(
        self,
        machine: str,
        type: str,  # noqa: A002 -- the name of the field
        *,
        uuid: str | UUID | None = None,
        note: str | None = None,
        **fields: Any,
    ) -> Record:
        """Record a log and return it. However often the request has to be repeated, there is one log.

        To repeat the call itself, for example after a crash of your program, give it a `uuid` that you have stored, and
        the same fields: within seven days the response is that of the first call. `note` says why, in the history.
        """
        body = {**fields, "machine": machine, "type": type, "uuid": str(uuid or uuid4())}
        return self.request("POST", "/logs", body=body, headers={"Idempotency-Key": body["uuid"], **_note_header(note)})

    def edit(self, uuid: str, version: int, /, *, note: str | None = None, **changes: Any) -> Record:
        """Change fields of a log that still has this version, and return it; None clears a field.

        Raises `VersionConflict` if somebody else changed it; its `current` is the log as it is now.
        """
        headers = {"If-Match": f'"{version}"', **_note_header(note)}
        try:
            return self.request("PATCH", _path("logs", uuid), body=changes, headers=headers)
        except VersionConflict as conflict:
            # The response of the first attempt was lost, and the second one met the version that the first had made.
            if conflict.was_repeated and _contains(conflict.current, changes):
                return conflict.current
            raise

    # Follow

    def follow(self, position: str = START, *, interval: float | None = 1.0) -> Iterator[Batch]:
        """Yield the changes of all records after a position, in batches, for ever, and wait for new ones.

        Store `batch.position` when the batch is handled, and give it back after a restart of your program: nothing is
        missed. The service is asked every `interval` seconds, and may be away for any time. With `interval=None`, end
        when all changes are read. Raises `HistoryReplaced` if a backup was restored: start again from `START`.
        """
        return following.follow(self._transport, position, interval)

    def newest_position(self) -> str:
        """Return the position after the newest change, to follow only what happens from now on."""
        return following.newest_position(self._transport)

    # All else

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """Send any request of the API and return its JSON, or None if the response has no body.

        A POST or PATCH is repeated after a lost connection only if it has an `Idempotency-Key` or `If-Match`.
        """
        return self._transport.request(method, path, encode_query(params or {}), headers or {}, body)


def _path(resource: str, key: str) -> str:
    return f"/{resource}/{quote(key, safe='')}"


def _note_header(note: str | None) -> dict[str, str]:
    return {} if note is None else {"X-Change-Note": quote(note)}


def _contains(record: Record, changes: Mapping[str, Any]) -> bool:
    """Return whether a record has all these values, as a merge patch sets them."""
    return all(_equals(record.get(name), value) for name, value in changes.items())


def _equals(stored: Any, wanted: Any) -> bool:
    if isinstance(stored, dict) and isinstance(wanted, Mapping):
        return _contains(stored, wanted)
    return stored == wanted or _instant(stored) == _instant(wanted) is not None


def _instant(value: Any) -> datetime | None:
    """Return a time with an offset as an instant; None for anything else."""
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None
