"""All changes of all records: read page by page, or followed as they happen."""

from typing import Annotated

from fastapi import Depends, Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db
from machine_monitor.api.openapi.documents import fed, streamed
from machine_monitor.api.route import tagged
from machine_monitor.api.streaming import Stream
from machine_monitor.models import CHANGES
from machine_monitor.query.language.parser import parse_query_string
from machine_monitor.services.access.permissions import READ
from machine_monitor.services.audit import change_feed
from machine_monitor.services.audit.change_feed import Changes

router = tagged("changes")


def changes_of(request: Request) -> Changes:
    """Which changes a request asks for."""
    return change_feed.read_changes(parse_query_string(request.scope["query_string"]))


def events_of(request: Request) -> Changes:
    """Where the stream that a request asks for begins."""
    return change_feed.read_events(
        parse_query_string(request.scope["query_string"]), request.headers.get("last-event-id")
    )


@router.get("/changes", dependencies=[needs(READ)], **fed(CHANGES))
async def list_changes(asked: Annotated[Changes, Depends(changes_of)], database: Db) -> Response:
    """List the changes of all records in the order in which they were written, deletions included.

    Ask again with `since` set to `next`: who has seen one change misses none before it, and holds a copy of the base.
    """
    return answers.document(await change_feed.fetch(database, asked))


@router.get("/events", dependencies=[needs(READ)], **streamed(CHANGES))
async def follow_changes(asked: Annotated[Changes, Depends(events_of)], database: Db) -> Response:
    """Follow the changes as server-sent events of the name `change`, whose ids are the numbers of the changes.

    Begins after `since`, or after the `Last-Event-ID` that a browser sends when it connects again; else with the next.
    """
    return Stream(change_feed.follow(database, asked), "text/event-stream", {"Cache-Control": "no-store"})
