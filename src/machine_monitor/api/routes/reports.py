"""Reports: the figures of a period beside those of the period before, as a file."""

from collections.abc import Callable
from datetime import datetime

from fastapi import Response

from machine_monitor.api.access import needs
from machine_monitor.api.deps import ReadDb, ReportDep
from machine_monitor.api.downloads import disposition
from machine_monitor.api.openapi.documents import report_operation
from machine_monitor.api.route import create_router
from machine_monitor.api.streaming import FinishedResponse
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS
from machine_monitor.services.access.permissions import READ
from machine_monitor.services.projections.reports import html, report, workbook
from machine_monitor.services.projections.reports.report import Report, ReportQuery
from machine_monitor.services.tabular.exports import FORMATS

router = create_router("reports")
HTML, XLSX = "text/html", FORMATS["xlsx"].media_type
# The page has styles of its own and nothing else: no script, no picture. `sandbox` keeps it from the console's origin.
PAGE_POLICY = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.get("/reports/period.html", dependencies=[needs(READ)], **report_operation(LOGS, HTML))
async def get_period_report_page(query: ReportDep, database: ReadDb) -> Response:
    """Get the report of a period as a page.

    The period beside the one before: stopped hours and failures by machine, causes, open stops, MTBF, MTTR and
    availability, with their definitions. The page has no script and loads nothing, so it can be mailed and printed.
    """
    headers = {"Content-Disposition": disposition(f"{query.file_stem}.html", inline=True)}
    body = await _build(database, query, html.render)
    return _response(body, HTML, headers | {"Content-Security-Policy": PAGE_POLICY})


@router.get("/reports/period.xlsx", dependencies=[needs(READ)], **report_operation(LOGS, XLSX))
async def get_period_report_workbook(query: ReportDep, database: ReadDb) -> Response:
    """Get the report of a period as an Excel workbook, with charts.

    Its figures are those of `/reliability` and `/logs/pareto`, with times in hours and in the site's time zone.
    """
    headers = {"Content-Disposition": disposition(f"{query.file_stem}.xlsx", inline=False)}
    return _response(await _build(database, query, workbook.build), XLSX, headers)


async def _build(database: Database, query: ReportQuery, build: Callable[[Report, datetime], bytes]) -> bytes:
    return await database.compute(build, await report.fetch(database, query), query.time_context.now)


def _response(body: bytes, media_type: str, headers: dict[str, str]) -> Response:
    # No browser may keep a report after the user has signed out.
    return FinishedResponse(body, media_type=media_type, headers=headers | {"Cache-Control": "no-store"})
