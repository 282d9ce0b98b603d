"""Dependencies of endpoints. Each is a synchronous function of the request, called by `Route`."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from machine_monitor.api.access import Client, caller_of, history_state_of, prefetch_of, user_of
from machine_monitor.api.serving.proxies.root_path import route_path_of
from machine_monitor.database import instants, read_point
from machine_monitor.database.connect import Database
from machine_monitor.database.read_point import ReadPoint
from machine_monitor.errors import Fault, Problem, invalid
from machine_monitor.models import DELETED_LOGS, LOGS, USERS
from machine_monitor.query.language.parser import (
    ListQuery,
    QueryPairs,
    parse_export_query,
    parse_list_query,
    parse_query_string,
    parse_selection,
    unexpected_parameters,
)
from machine_monitor.query.language.summaries import FacetsQuery, StatsQuery, parse_facets_query, parse_stats_query
from machine_monitor.query.language.times import TimeContext
from machine_monitor.query.schema import Resource, Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import SEE_DELETED, Caller
from machine_monitor.services.projections.reliability.pareto import ParetoQuery, parse_pareto_query
from machine_monitor.services.projections.reliability.request import ReliabilityQuery, parse_reliability_query
from machine_monitor.services.projections.reports.report import ReportQuery, parse_report_query
from machine_monitor.services.records.preconditions import Preconditions, parse_entity_tags
from machine_monitor.services.tabular.exports import Format

# The header with which a client asks for its own writes. Downloads in a browser have a cookie, which the console sets.
READ_AFTER = "X-Read-After"
READ_AFTER_COOKIE = "mm_read_after"
# The key of the ASGI scope for the `ReadPoint`.
READ_POINT = "read_point"
# That for the `ListQuery`, if it was parsed before the caller was known.
LIST_QUERY = "list_query"
DELETED_RECORDS = {LOGS.name: DELETED_LOGS}


@dataclass(frozen=True)
class SignInContext:
    """The database and the client of a sign-in or sign-out."""

    database: Database
    client: Client
    request_id: str

    async def user(self, trigram: str) -> dict[str, Any]:
        """Return the public fields of a user."""
        return (await records.read(self.database, USERS, trigram, Selection(tuple(USERS.own_fields)))).values


def database_of(request: Request) -> Database:
    """Return the application's database, as the user of the request shares it with others."""
    database: Database = request.app.state.database
    return database.for_user(user_of(request)).with_prefetched(prefetch_of(request))


def reading_database_of(request: Request) -> Database:
    """Return the database for a read that a standby may answer, if it has the writes that the client names."""
    named = (request.headers.get(READ_AFTER, ""), request.cookies.get(READ_AFTER_COOKIE, ""))
    point = ReadPoint(read_point.higher(*map(read_point.parse_position, named)), history_state_of(request))
    request.scope[READ_POINT] = point
    return database_of(request).reading_from(point)


def is_current(request: Request) -> bool:
    """Whether all that was read for this request belongs to the state of `history_state_of`."""
    point: ReadPoint | None = request.scope.get(READ_POINT)
    return point is None or point.is_current


def time_context_of(request: Request) -> TimeContext:
    """Return the site's time zone and the current time."""
    return TimeContext(request.app.state.settings.zone, instants.now())


def preconditions_of(request: Request) -> Preconditions:
    """Return the request's If-Match and If-None-Match."""
    required = request.app.state.settings.require_if_match
    return Preconditions(_etags(request, "if-match"), _etags(request, "if-none-match"), required)


def client_of(request: Request) -> Client:
    """Return the client; raises `Invalid` if there are query parameters."""
    if faults := unexpected_parameters(parse_query_string(request.scope["query_string"])):
        raise invalid(faults)
    return Client.from_request(request)


def sign_in_context_of(request: Request) -> SignInContext:
    """Return the context of a sign-in or sign-out; raises `Invalid` if there are query parameters."""
    return SignInContext(database_of(request), client_of(request), request.scope["request_id"])


def no_parameters(request: Request) -> None:
    """Raise `Invalid` if there are query parameters."""
    if faults := unexpected_parameters(parse_query_string(request.scope["query_string"])):
        raise invalid(faults)


@dataclass(frozen=True)
class ListQueryReader:
    """A dependency: the list query of `resource`.

    With `can_prefetch`, the endpoint reads the page of this query and nothing before it.
    """

    resource: Resource
    can_prefetch: bool = False

    def __call__(self, request: Request) -> ListQuery:
        """Return the query of a request; raises `Invalid`, or `Forbidden` if the caller may not see deleted records."""
        parsed = request.scope.get(LIST_QUERY)
        if parsed is not None:
            return parsed
        chosen, pairs = _with_deleted(request, self.resource)
        path = route_path_of(request.scope)
        scope = f"{path} deleted" if chosen.deleted else path
        return parse_list_query(chosen, pairs, time_context_of(request), fingerprint_scope=scope)

    def read_early(self, request: Request) -> ListQuery | None:
        """Return the query before the caller is known; None if it is invalid, or may not be allowed."""
        if "deleted" in request.query_params:
            return None
        try:
            query = request.scope[LIST_QUERY] = self(request)
        except Problem:
            return None
        return query


def list_query_of(resource: Resource, *, can_prefetch: bool = False) -> Any:
    """A dependency: the list query of `resource`, as `ListQueryReader` reads it."""
    return Depends(ListQueryReader(resource, can_prefetch))


def export_of(resource: Resource, form: Format) -> Any:
    """A dependency: the export query of `resource` in this format."""

    def read(request: Request) -> ListQuery:
        chosen, pairs = _with_deleted(request, resource)
        return parse_export_query(chosen, pairs, time_context_of(request), dialects=form.has_dialects)

    return Depends(read)


def facets_of(resource: Resource) -> Any:
    """A dependency: the facets query of `resource`."""

    def read(request: Request) -> FacetsQuery:
        return parse_facets_query(resource, parse_query_string(request.scope["query_string"]), time_context_of(request))

    return Depends(read)


def stats_of(resource: Resource) -> Any:
    """A dependency: the stats query of `resource`."""

    def read(request: Request) -> StatsQuery:
        return parse_stats_query(resource, parse_query_string(request.scope["query_string"]), time_context_of(request))

    return Depends(read)


def pareto_query_of(request: Request) -> ParetoQuery:
    """Return the query of the Pareto analysis."""
    return parse_pareto_query(parse_query_string(request.scope["query_string"]), time_context_of(request))


def reliability_query_of(request: Request) -> ReliabilityQuery:
    """Return the query of reliability."""
    return parse_reliability_query(parse_query_string(request.scope["query_string"]), time_context_of(request))


def report_query_of(request: Request) -> ReportQuery:
    """Return the query of a report, with links to the host that the client requested."""
    pairs = parse_query_string(request.scope["query_string"])
    return parse_report_query(pairs, time_context_of(request), Client.from_request(request).base_url)


def selection_of(resource: Resource) -> Any:
    """A dependency: the `fields` and `expand` of a GET of one record."""

    def read(request: Request) -> Selection:
        return parse_selection(resource, parse_query_string(request.scope["query_string"]))

    return Depends(read)


NoParameters = Annotated[None, Depends(no_parameters)]
Db = Annotated[Database, Depends(database_of)]
ReadDb = Annotated[Database, Depends(reading_database_of)]
Now = Annotated[TimeContext, Depends(time_context_of)]
PreconditionsDep = Annotated[Preconditions, Depends(preconditions_of)]
CurrentUser = Annotated[Caller, Depends(caller_of)]
ClientDep = Annotated[Client, Depends(client_of)]
ParetoDep = Annotated[ParetoQuery, Depends(pareto_query_of)]
ReliabilityDep = Annotated[ReliabilityQuery, Depends(reliability_query_of)]
ReportDep = Annotated[ReportQuery, Depends(report_query_of)]
SignInDep = Annotated[SignInContext, Depends(sign_in_context_of)]


def _with_deleted(request: Request, resource: Resource) -> tuple[Resource, QueryPairs]:
    """Return the records that are asked for, the deleted ones with `deleted=true`, and the other parameters."""
    pairs = parse_query_string(request.scope["query_string"])
    if not resource.soft_delete:
        return resource, pairs
    given = [value for name, value in pairs if name == "deleted"]
    others = [pair for pair in pairs if pair[0] != "deleted"]
    if given in ([], ["false"]):
        return resource, others
    if given != ["true"]:
        message = "'deleted' must be given once, as true or false."
        raise invalid([Fault(message, parameter="deleted", allowed=("true", "false"))])
    SEE_DELETED.check(caller_of(request))
    return DELETED_RECORDS[resource.name], others


def _etags(request: Request, header: str) -> tuple[str, ...] | None:
    values = request.headers.getlist(header)
    return parse_entity_tags(",".join(values)) if values else None
