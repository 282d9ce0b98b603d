"""What an endpoint can ask for in its signature; each is a plain function of the request."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from machine_monitor.api.access import Browser, caller_of
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.errors import invalid
from machine_monitor.models import USERS
from machine_monitor.query.language.parser import (
    ListQuery,
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
from machine_monitor.services.access.permissions import Caller
from machine_monitor.services.records.preconditions import Conditions
from machine_monitor.services.tabular.exports import Format

_TAG = re.compile(r'(?:W/)?"[^"]*"|\*')


@dataclass(frozen=True)
class Signing:
    """What signing in and out needs beside its body: where accounts are, and where the cookie is."""

    database: Database
    browser: Browser

    async def user(self, trigram: str) -> dict[str, Any]:
        """A user as everyone may see one."""
        return (await records.read(self.database, USERS, trigram, Selection(tuple(USERS.own_fields)))).values


def database_of(request: Request) -> Database:
    """The application's database."""
    return request.app.state.database


def clock_of(request: Request) -> TimeContext:
    """The site's time zone, and what time it is."""
    return TimeContext(request.app.state.settings.zone, instants.now())


def conditions_of(request: Request) -> Conditions:
    """The request's If-Match and If-None-Match."""
    required = request.app.state.settings.require_if_match
    return Conditions(_tags(request, "if-match"), _tags(request, "if-none-match"), required)


def browser_of(request: Request) -> Browser:
    """The other end of a request that has no parameters; raises the 422 of any."""
    if faults := unexpected_parameters(parse_query_string(request.scope["query_string"])):
        raise invalid(faults)
    return Browser.of(request)


def signing_of(request: Request) -> Signing:
    """What signing in and out needs."""
    return Signing(database_of(request), browser_of(request))


def list_query_of(resource: Resource) -> Any:
    """A dependency: the list of `resource` that a request asks for."""

    def read(request: Request) -> ListQuery:
        pairs = parse_query_string(request.scope["query_string"])
        return parse_list_query(resource, pairs, clock_of(request), fingerprint_scope=request.scope["path"])

    return Depends(read)


def export_of(resource: Resource, form: Format) -> Any:
    """A dependency: what of `resource` a request wants in a file of this format."""

    def read(request: Request) -> ListQuery:
        pairs = parse_query_string(request.scope["query_string"])
        return parse_export_query(resource, pairs, clock_of(request), dialects=form.has_dialects)

    return Depends(read)


def facets_of(resource: Resource) -> Any:
    """A dependency: the facets of `resource` that a request asks for."""

    def read(request: Request) -> FacetsQuery:
        return parse_facets_query(resource, parse_query_string(request.scope["query_string"]), clock_of(request))

    return Depends(read)


def stats_of(resource: Resource) -> Any:
    """A dependency: the stats of `resource` that a request asks for."""

    def read(request: Request) -> StatsQuery:
        return parse_stats_query(resource, parse_query_string(request.scope["query_string"]), clock_of(request))

    return Depends(read)


def selection_of(resource: Resource) -> Any:
    """A dependency: the `fields` and `expand` that a request for one record names."""

    def read(request: Request) -> Selection:
        return parse_selection(resource, parse_query_string(request.scope["query_string"]))

    return Depends(read)


Db = Annotated[Database, Depends(database_of)]
Now = Annotated[TimeContext, Depends(clock_of)]
Known = Annotated[Conditions, Depends(conditions_of)]
By = Annotated[Caller, Depends(caller_of)]
There = Annotated[Browser, Depends(browser_of)]
Sign = Annotated[Signing, Depends(signing_of)]


def _tags(request: Request, header: str) -> tuple[str, ...] | None:
    values = request.headers.getlist(header)
    return tuple(_TAG.findall(",".join(values))) if values else None
