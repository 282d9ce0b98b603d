"""Who asks, and whether they may: what a request shows of it, and what each operation names in `needs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from fastapi import Depends, Request, Response

from machine_monitor.api.middleware import USER
from machine_monitor.errors import Forbidden, Unauthenticated
from machine_monitor.services.access.authentication import Authenticator
from machine_monitor.services.access.permissions import Action, Caller, Role, Scope
from machine_monitor.services.accounts.sessions import LIFETIME

CALLER = "caller"
# Only over TLS does a browser take a cookie of this name, and then from this host alone.
COOKIES = {"http": "mm_session", "https": "__Host-mm_session"}
SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `POST /tokens` or `mm token add`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIES["http"],
        "description": (
            f"The cookie of `POST /session`, over TLS `{COOKIES['https']}`. Writes carry `X-CSRF-Token` beside it."
        ),
    },
}


@dataclass(frozen=True)
class Need:
    """Stands in a decorator's `dependencies` for the action that the operation is."""

    action: Action

    def __call__(self) -> None:
        """Nothing: FastAPI would call it, the route class reads it."""


@dataclass(frozen=True)
class Browser:
    """The other end of a request, as far as its cookie and its links go."""

    base: str
    address: str | None

    @classmethod
    def of(cls, request: Request) -> "Browser":
        """The one that makes a request."""
        return cls(str(request.base_url), request.client.host if request.client else None)

    def keep(self, response: Response, secret: str, max_age: int = int(LIFETIME.total_seconds())) -> Response:
        """Let the browser have a session's cookie, which no script can read and no other site sends."""
        scheme = self.base.partition(":")[0]
        response.set_cookie(
            COOKIES[scheme], secret, max_age, secure=scheme == "https", httponly=True, samesite="strict"
        )
        return response

    def forget(self, response: Response) -> Response:
        """Let the browser drop its cookie."""
        return self.keep(response, "", 0)


def needs(action: Action) -> Any:
    """What an operation does, for the `dependencies` of its decorator."""
    return Depends(Need(action))


def action_of(path: str, options: Mapping[str, Any]) -> Action:
    """The action that a route's decorator names; raises `TypeError` if it names none."""
    for given in options.get("dependencies") or ():
        if isinstance(given.dependency, Need):
            return given.dependency.action
    message = f"{path}: an operation names its action, `dependencies=[needs(...)]`"
    raise TypeError(message)


async def admit(request: Request, action: Action) -> None:
    """Find out who asks; raises `Unauthenticated` or `Forbidden` unless they may."""
    if action.role is None:
        if request.method == "POST":
            check_origin(request)
        return
    caller = await _identify(request)
    action.check(caller)
    if caller.csrf_token is not None and request.method != "GET":
        check_origin(request)
        given = request.headers.get("x-csrf-token", "")
        if not compare_digest(given.encode(), caller.csrf_token.encode()):
            raise Forbidden("A write by cookie carries the session's token as X-CSRF-Token; `GET /me` tells it.")
    request.scope[CALLER] = caller
    request.scope[USER] = caller.user


def caller_of(request: Request) -> Caller:
    """Who asks, where the action is not open to all."""
    return request.scope[CALLER]


def check_origin(request: Request) -> None:
    """Raise `Forbidden` if a browser says that the page of another site makes this request."""
    headers = request.headers
    origin = headers.get("origin") or headers.get("referer")
    if headers.get("sec-fetch-site") == "cross-site" or (origin is not None and not _is_ours(request, origin)):
        raise Forbidden("This comes from a page of another site; MM_CORS_ORIGINS names those that may.")


def document(action: Action) -> dict[str, Any]:
    """What OpenAPI says of an action: what proves that one may."""
    return {"security": [] if action.role is None else [{name: []} for name in SCHEMES]}


def refusals(action: Action) -> tuple[int, ...]:
    """The statuses of those who may not."""
    if action.role is None:
        return ()
    return (401,) if action.role is Role.VIEWER and action.scope is Scope.READ else (401, 403)


async def _identify(request: Request) -> Caller:
    authenticator: Authenticator = request.app.state.authenticator
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
        return await authenticator.authenticate_token(token.strip())
    cookie = request.cookies.get(COOKIES[request.scope["scheme"]]) if "cookie" in request.headers else None
    return await (
        authenticator.authenticate_anonymous() if cookie is None else authenticator.authenticate_session(cookie)
    )


def _is_ours(request: Request, origin: str) -> bool:
    """Whether an address is on this host, or on one that the site trusts."""
    scheme, _, rest = origin.partition("://")
    host = rest.split("/")[0]
    return host == request.headers.get("host") or f"{scheme}://{host}" in request.app.state.settings.cors_origins
