"""The change feed: all changes of all records, page by page or as server-sent events."""

from typing import Annotated

from fastapi import Depends, Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db
from machine_monitor.api.openapi.documents import feed_operation, stream_operation
from machine_monitor.api.route import create_router
from machine_monitor.api.streaming import TimedStreamingResponse
from machine_monitor.models import CHANGES
from machine_monitor.query.language.parser import parse_query_string
from machine_monitor.services.access.permissions import READ
from machine_monitor.services.audit import change_feed
from machine_monitor.services.audit.change_feed import ChangesQuery

router = create_router("changes")


def changes_query_of(request: Request) -> ChangesQuery:
    """Parse the query string of GET /changes."""
    return change_feed.parse_changes_query(parse_query_string(request.scope["query_string"]))


def events_query_of(request: Request) -> ChangesQuery:
    """Parse the query string and the Last-Event-ID header of GET /events."""
    return change_feed.parse_events_query(
        parse_query_string(request.scope["query_string"]), request.headers.get("last-event-id")
    )


@router.get("/changes", dependencies=[needs(READ)], **feed_operation(CHANGES))
async def list_changes(query: Annotated[ChangesQuery, Depends(changes_query_of)], database: Db) -> Response:
    """List the changes of all records, oldest first, deletions included.

    Repeat with `since` set to `next`. Changes become visible in the order of their numbers, so a client that continues
    from its last number misses none and can keep a complete copy of the records. `machine_id` selects one machine.
    """
    return responses.json_response(await change_feed.fetch(database, query))


@router.get("/events", dependencies=[needs(READ)], **stream_operation(CHANGES))
async def follow_changes(query: Annotated[ChangesQuery, Depends(events_query_of)], database: Db) -> Response:
    """Follow the changes as server-sent events named `change`; an event's id is the number of its change.

    Starts after `since`, or after the `Last-Event-ID` that browsers send when they reconnect. Without either, only
    new changes are sent.
    """
    events = change_feed.stream_events(database, query)
    return TimedStreamingResponse(events, "text/event-stream", {"Cache-Control": "no-store"})
