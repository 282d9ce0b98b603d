"""Logs. Each log is one intervention on one machine."""

from functools import partial
from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import (
    Db,
    ParetoDep,
    PreconditionsDep,
    ReadDb,
    facets_of,
    list_query_of,
    selection_of,
    stats_of,
)
from machine_monitor.api.downloads import add_export_routes
from machine_monitor.api.openapi.documents import (
    bulk_operation,
    create_operation,
    delete_operation,
    facets_operation,
    list_operation,
    pareto_operation,
    read_operation,
    replace_operation,
    restore_operation,
    stats_operation,
    update_operation,
)
from machine_monitor.api.openapi.files import with_form
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import conditional
from machine_monitor.api.serving.uploads import FormDep
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.models import HISTORY, LOGS
from machine_monitor.models.bulk import LogBulk
from machine_monitor.models.fields import Uuid
from machine_monitor.models.log import LogCreate, LogReplace, LogUpdate
from machine_monitor.query import facets as log_facets
from machine_monitor.query import lists
from machine_monitor.query import stats as log_stats
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.language.summaries import FacetsQuery, StatsQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import ADD_LOG, EDIT_LOG, MANAGE_RECORDS, READ
from machine_monitor.services.projections.reliability import pareto

router = create_router("logs")


@router.get("/logs", dependencies=[needs(READ)], **list_operation(LOGS))
async def list_logs(
    request: Request, query: Annotated[ListQuery, list_query_of(LOGS, can_prefetch=True)], database: ReadDb
) -> Response:
    """List interventions.

    The newest come first. Filter by any field of the log and of its machine, type and user; search
    with `q`; sort; page with cursors.
    """
    return await conditional.respond_with_page(request, query, lambda: lists.fetch(database, query))


@router.post("/logs", dependencies=[needs(ADD_LOG)], **with_form(create_operation(LOGS)))
async def create_log(body: LogCreate, form: FormDep, write: WriteOnce) -> Response:
    """Record an intervention. Only `machine` and `type` are required.

    To add files at once, send a form: the part `log` is the intervention as JSON, up to ten parts `files` are the
    files. All of it is recorded, or nothing.

    With `unlisted`, a machine name that does not exist creates the machine, for a supervisor to confirm or merge.
    """
    return await write.create("/logs", LOGS, body, form.files)


@router.post("/logs/bulk", dependencies=[needs(MANAGE_RECORDS)], **bulk_operation())
async def put_logs(body: LogBulk, write: WriteOnce) -> Response:
    """Create or replace up to 1,000 interventions in one request. Each is written like a PUT of its `uuid`.

    `atomic` writes all items, or none if one is invalid (422 with all faults). `partial` writes the valid items.
    Read-only fields of an item are ignored.
    """
    return await write.put_items(LOGS, LogCreate, body.items, atomic=body.mode == "atomic")


@router.get("/logs/facets", dependencies=[needs(READ)], **facets_operation(LOGS))
async def count_logs(request: Request, facets: Annotated[FacetsQuery, facets_of(LOGS)], database: ReadDb) -> Response:
    """Count interventions by the values of some fields.

    The most frequent values come first.
    A facet ignores the filters on its own field. If a filter or `q` matches more than 10,000 logs, the facet counts
    the 10,000 newest, and `capped` lists its field.
    """
    return await conditional.respond_with_json(request, facets, lambda: log_facets.fetch(database, facets))


@router.get("/logs/stats", dependencies=[needs(READ)], **stats_operation(LOGS))
async def measure_logs(request: Request, stats: Annotated[StatsQuery, stats_of(LOGS)], database: ReadDb) -> Response:
    """Count interventions and failures, and sum downtime.

    Groups are formed by up to three fields and one calendar unit.
    `count` and `failures` use the log's `started_at`. `downtime` is in seconds. Overlapping stops of one machine count
    once. A stop counts in each bucket that it overlaps, until now if the machine is still stopped.
    """
    return await conditional.respond_with_json(request, stats, lambda: log_stats.fetch(database, stats))


@router.get("/logs/pareto", dependencies=[needs(READ)], **pareto_operation(LOGS))
async def rank_values(query: ParetoDep, database: ReadDb) -> Response:
    """Rank causes, types, machines or attributes by what they weigh: a Pareto analysis.

    Texts that differ only in case, accents and blanks are one value. Cancelled interventions count for nothing.
    `downtime` is in seconds: stops are cut to the window, and those of one machine that overlap count once for each
    value.
    """
    return responses.json_response(await pareto.fetch(database, query))


@router.get("/logs/{uuid}", dependencies=[needs(READ)], **read_operation(LOGS))
async def get_log(
    uuid: Uuid, selection: Annotated[Selection, selection_of(LOGS)], preconditions: PreconditionsDep, database: ReadDb
) -> Response:
    """Read an intervention. 410 if it was deleted."""
    return responses.record_response(await records.read(database, LOGS, uuid, selection), preconditions, selection)


@router.put("/logs/{uuid}", dependencies=[needs(EDIT_LOG)], **replace_operation(LOGS))
async def replace_log(uuid: Uuid, body: LogReplace, write: Write) -> Response:
    """Create or replace an intervention under a UUID that you choose. Retries are safe.

    Absent fields take their defaults, except `started_at` and `user`, which keep their stored values.
    """
    return responses.write_response("/logs", await write.replace(LOGS, uuid, body))


@router.patch("/logs/{uuid}", dependencies=[needs(EDIT_LOG)], **update_operation(LOGS))
async def update_log(uuid: Uuid, body: LogUpdate, write: Write) -> Response:
    """Change some fields of an intervention. The body is a JSON merge patch: null clears a field."""
    return responses.write_response("/logs", await write.update(LOGS, uuid, body))


@router.delete("/logs/{uuid}", dependencies=[needs(MANAGE_RECORDS)], **delete_operation(LOGS))
async def delete_log(uuid: Uuid, write: Write) -> Response:
    """Delete an intervention. It disappears from all lists; its history stays, and it can be restored."""
    await write.delete(LOGS, uuid)
    return Response(status_code=204)


@router.post("/logs/{uuid}/restore", dependencies=[needs(MANAGE_RECORDS)], **restore_operation(LOGS))
async def restore_log(uuid: Uuid, write: Write) -> Response:
    """Restore a deleted intervention. 409 if it is not deleted."""
    return responses.write_response("/logs", await write.restore(LOGS, uuid))


@router.get("/logs/{uuid}/history", dependencies=[needs(READ)], **list_operation(HISTORY))
async def list_log_history(
    request: Request, uuid: Uuid, query: Annotated[ListQuery, list_query_of(HISTORY)], database: Db
) -> Response:
    """List the changes of an intervention, newest first. Also works for a deleted one."""
    read = partial(records.read_history, database, LOGS, uuid, query)
    return await conditional.respond_with_page(request, query, read)


add_export_routes(router, LOGS)
