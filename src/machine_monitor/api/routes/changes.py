"""The change feed: all changes of all records, page by page or as server-sent events."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import caller_of, has_ended, needs
from machine_monitor.api.deps import READ_AFTER, Db
from machine_monitor.api.openapi.documents import feed_operation, stream_operation
from machine_monitor.api.route import create_router
from machine_monitor.api.serving.stream_limits import event_stream
from machine_monitor.models import CHANGES
from machine_monitor.query.language.parser import parse_query_string
from machine_monitor.services.access.permissions import READ, can_see_account_history
from machine_monitor.services.audit import change_feed, live_feed
from machine_monitor.services.audit.change_feed import ChangesQuery
from machine_monitor.services.audit.live_feed import LiveFeed

router = create_router("changes")


def changes_query_of(request: Request) -> ChangesQuery:
    """Parse the query string of GET /changes."""
    query = change_feed.parse_changes_query(parse_query_string(request.scope["query_string"]))
    return _for_caller(request, query)


def events_query_of(request: Request) -> ChangesQuery:
    """Parse the query string and the Last-Event-ID header of GET /events."""
    query = change_feed.parse_events_query(
        parse_query_string(request.scope["query_string"]), request.headers.get("last-event-id")
    )
    return _for_caller(request, query)


def _for_caller(request: Request, query: ChangesQuery) -> ChangesQuery:
    return replace(query, with_accounts=can_see_account_history(caller_of(request)))


@router.get("/changes", dependencies=[needs(READ)], **feed_operation(CHANGES))
async def list_changes(query: Annotated[ChangesQuery, Depends(changes_query_of)], database: Db) -> Response:
    """List the changes of all records, oldest first, deletions included.

    Repeat with `since` set to `next` and with its `epoch`. Changes become visible in the order of their numbers, so a
    client that continues from its last number misses none and can keep a complete copy of the records. The epoch names
    the history up to `next`: if the database is restored from a backup, the response is 410 `history-replaced`, and the
    client rebuilds its copy from `since=0`.

    Entries about accounts (`resource: accounts`) are shown to admins only.
    """
    response = responses.json_response(await change_feed.fetch(database, query))
    if position := await database.find_position():
        response.headers[READ_AFTER] = position
    return response


@router.get("/events", dependencies=[needs(READ)], **stream_operation(CHANGES))
async def follow_changes(request: Request, query: Annotated[ChangesQuery, Depends(events_query_of)]) -> Response:
    """Follow the changes as server-sent events.

    They are named `change`, and an event's id is `seq-epoch`. Starts after `since`, or after the `Last-Event-ID` that
    browsers send when they reconnect; a bare number is accepted too. Without either, only new changes are sent. If the
    history was replaced and no longer contains that last event, the client gets one event `replaced`, and then all
    changes from the first.

    The stream ends when its credential ends. A credential has at most 8 streams, a user 32, an address without a
    credential 8, and a process 200: one more is 429 `rate-limited`.
    """
    feed: LiveFeed = request.app.state.live_feed
    events = live_feed.stream_events(feed, query, lambda: has_ended(request))
    return event_stream(request, events)
