"""Reliability: MTBF, MTTR and availability of machines."""

from fastapi import Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import ReadDb, ReliabilityDep
from machine_monitor.api.openapi.documents import reliability_operation
from machine_monitor.api.route import create_router
from machine_monitor.models import LOGS
from machine_monitor.services.access.permissions import READ
from machine_monitor.services.projections.reliability import groups

router = create_router("reliability")


@router.get("/reliability", dependencies=[needs(READ)], **reliability_operation(LOGS))
async def measure_reliability(query: ReliabilityDep, database: ReadDb) -> Response:
    """Measure reliability: MTBF, MTTR and availability.

    Groups are formed by up to three fields of the machine and one calendar unit. Every machine that the filters choose
    counts, one without logs too. Filters are those of logs on `machine` and its fields. `definition` says what each
    figure means.
    """
    return responses.json_response(await groups.fetch(database, query))
