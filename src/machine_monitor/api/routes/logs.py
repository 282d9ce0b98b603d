"""Logs: one intervention on one machine each."""

from typing import Annotated

from fastapi import Depends, Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import caller_of, needs
from machine_monitor.api.deps import Db, Known, clock_of, facets_of, list_query_of, selection_of, stats_of
from machine_monitor.api.downloads import offer_exports
from machine_monitor.api.openapi.documents import (
    counted,
    created,
    deleted,
    listed,
    measured,
    put_together,
    read,
    replaced,
    restored,
    updated,
)
from machine_monitor.api.route import tagged
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.errors import Fault, invalid
from machine_monitor.models import DELETED_LOGS, HISTORY, LOGS
from machine_monitor.models.bulk import LogBulk
from machine_monitor.models.fields import Uuid
from machine_monitor.models.log import LogCreate, LogReplace, LogUpdate
from machine_monitor.query import facets as log_facets
from machine_monitor.query import lists
from machine_monitor.query import stats as log_stats
from machine_monitor.query.language.parser import ListQuery, parse_list_query, parse_query_string
from machine_monitor.query.language.summaries import FacetsQuery, StatsQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import ADD_LOG, EDIT_LOG, KEEP_RECORDS, READ, SEE_DELETED

router = tagged("logs")


def logs_query_of(request: Request) -> ListQuery:
    """The list of logs that a request asks for, or of deleted ones."""
    pairs, clock, path = parse_query_string(request.scope["query_string"]), clock_of(request), request.scope["path"]
    asked = [value for name, value in pairs if name == "deleted"]
    if not asked:
        return parse_list_query(LOGS, pairs, clock, fingerprint_scope=path)
    if asked not in (["true"], ["false"]):
        raise invalid([Fault("'deleted': write true or false, once.", parameter="deleted", allowed=("true", "false"))])
    pairs = [pair for pair in pairs if pair[0] != "deleted"]
    if asked == ["false"]:
        return parse_list_query(LOGS, pairs, clock, fingerprint_scope=path)
    SEE_DELETED.check(caller_of(request))
    return parse_list_query(DELETED_LOGS, pairs, clock, fingerprint_scope=f"{path} deleted")


@router.get("/logs", dependencies=[needs(READ)], **listed(LOGS))
async def list_logs(request: Request, query: Annotated[ListQuery, Depends(logs_query_of)], database: Db) -> Response:
    """List interventions, newest first.

    Filter by any field of the log, of its machine, type and user, search with `q`, sort, page by cursor.
    """
    return answers.page(request, await lists.fetch(database, query))


@router.post("/logs", dependencies=[needs(ADD_LOG)], **created(LOGS))
async def create_log(body: LogCreate, write: WriteOnce) -> Response:
    """Record an intervention. Only `machine` and `type` are required."""
    return await write.create("/logs", LOGS, body)


@router.post("/logs/bulk", dependencies=[needs(KEEP_RECORDS)], **put_together())
async def put_logs(body: LogBulk, write: WriteOnce) -> Response:
    """Create or replace up to 1,000 interventions at once, each as a PUT by its `uuid`.

    `atomic` writes all of them or, if one is wrong, none (422 with all faults); `partial` writes those that are right.
    Fields that only the product writes may stand in an item and say nothing.
    """
    return await write.put_all(LOGS, body.items, atomic=body.mode == "atomic")


@router.get("/logs/facets", dependencies=[needs(READ)], **counted(LOGS))
async def count_logs(facets: Annotated[FacetsQuery, facets_of(LOGS)], database: Db) -> Response:
    """Count interventions by the values of some fields, the most frequent first.

    A facet ignores the filters of its own field. With a filter or `q`, one that more than 10,000 logs match counts the
    10,000 newest, and `capped` names it.
    """
    return answers.document(await log_facets.fetch(database, facets))


@router.get("/logs/stats", dependencies=[needs(READ)], **measured(LOGS))
async def measure_logs(stats: Annotated[StatsQuery, stats_of(LOGS)], database: Db) -> Response:
    """Count interventions and failures, and add up downtime, by up to three fields and one unit of the calendar.

    `count` and `failures` place a log by `started_at`. `downtime` is in seconds: what the stops of one machine have in
    common counts once, and a stop counts in each bucket that it overlaps, up to now if the machine still stands.
    """
    return answers.document(await log_stats.fetch(database, stats))


@router.get("/logs/{uuid}", dependencies=[needs(READ)], **read(LOGS))
async def get_log(
    uuid: Uuid, selection: Annotated[Selection, selection_of(LOGS)], known: Known, database: Db
) -> Response:
    """Read an intervention; 410 if it was deleted."""
    return answers.record(await records.read(database, LOGS, uuid, selection), known, selection)


@router.put("/logs/{uuid}", dependencies=[needs(EDIT_LOG)], **replaced(LOGS))
async def replace_log(uuid: Uuid, body: LogReplace, write: Write) -> Response:
    """Record an intervention under a UUID of your own, or replace it; to send it again is harmless.

    A field that is absent takes its default, but `started_at` and `user` stay as they are stored.
    """
    return answers.written("/logs", await write.replace(LOGS, uuid, body))


@router.patch("/logs/{uuid}", dependencies=[needs(EDIT_LOG)], **updated(LOGS))
async def update_log(uuid: Uuid, body: LogUpdate, write: Write) -> Response:
    """Change some fields of an intervention (JSON merge patch): null clears one."""
    return answers.written("/logs", await write.update(LOGS, uuid, body))


@router.delete("/logs/{uuid}", dependencies=[needs(KEEP_RECORDS)], **deleted(LOGS))
async def delete_log(uuid: Uuid, write: Write) -> Response:
    """Delete an intervention. It leaves every list, its history stays."""
    await write.delete(LOGS, uuid)
    return Response(status_code=204)


@router.post("/logs/{uuid}/restore", dependencies=[needs(KEEP_RECORDS)], **restored(LOGS))
async def restore_log(uuid: Uuid, write: Write) -> Response:
    """Bring a deleted intervention back as it was; 409 if it is not deleted."""
    return answers.written("/logs", await write.restore(LOGS, uuid))


@router.get("/logs/{uuid}/history", dependencies=[needs(READ)], **listed(HISTORY))
async def list_log_history(
    request: Request, uuid: Uuid, query: Annotated[ListQuery, list_query_of(HISTORY)], database: Db
) -> Response:
    """List what was changed on an intervention, newest first; also of a deleted one."""
    return answers.page(request, await records.read_history(database, LOGS, uuid, query))


offer_exports(router, LOGS)
