"""Authentication and authorization of requests. Each operation declares its action with `needs(...)`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Any

from fastapi import Depends, Request, Response

from machine_monitor.api.middleware import USER
from machine_monitor.api.serving.proxies.cross_site import check_origin
from machine_monitor.api.serving.proxies.forwarded import public_url
from machine_monitor.api.serving.proxies.root_path import root_path_of
from machine_monitor.database.statements import Prefetch
from machine_monitor.errors import Forbidden, Unauthenticated
from machine_monitor.services.access.authentication import Authenticated, Authenticator
from machine_monitor.services.access.permissions import Action, Caller, Role, Scope
from machine_monitor.services.accounts import known_devices, user_agents
from machine_monitor.services.accounts.password_sign_in import Browser, NewSession
from machine_monitor.services.accounts.rate_limit import network_of
from machine_monitor.services.accounts.sessions import LIFETIME

CALLER = "caller"
HISTORY_STATE = "history_state"
PREFETCH = "prefetch"
ENDED_SESSION = "This session has ended. Sign in again."
SESSION_COOKIE = "mm_session"
# The cookie by which a browser is recognized when its user signs in again.
DEVICE_COOKIE = "mm_device"
SECURITY_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, made by `POST /tokens` or `mm token add`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": (
            f"The session cookie set by `POST /session`; over HTTPS its name is `__Host-{SESSION_COOKIE}`, below "
            f"MM_ROOT_PATH `__Secure-{SESSION_COOKIE}`. Writes also need the header `X-CSRF-Token`."
        ),
    },
}


class InvalidToken(Unauthenticated):
    """The request has a token, but it is of no use."""

    challenge = 'Bearer error="invalid_token"'
    explanation = (
        "This token is not known, was revoked or has expired. "
        "Create another one in the console under `My tokens`, or with `mm token add`."
    )


@dataclass(frozen=True)
class RequiredAction:
    """Marks an operation with its action; used in the `dependencies` of its decorator."""

    action: Action

    def __call__(self) -> None:
        """Never called: `Route` replaces FastAPI's injection and only reads `action`. `Depends` needs a callable."""


@dataclass(frozen=True)
class Client:
    """The client of a request: the base URL that it requested, its browser, and what its cookies are called."""

    base_url: str
    browser: Browser
    root_path: str
    cookie_prefix: str

    @classmethod
    def from_request(cls, request: Request) -> "Client":
        """Return the client of this request."""
        prefix = _cookie_prefix(request)
        browser = Browser(
            address=request.client.host if request.client else None,
            agent=user_agents.parse(request.headers.get("user-agent", "")),
            session=_cookie(request, prefix + SESSION_COOKIE),
            device=_cookie(request, prefix + DEVICE_COOKIE),
        )
        return cls(public_url(request), browser, root_path_of(request.scope), prefix)

    def set_cookies(self, response: Response, session: NewSession) -> Response:
        """Set the session cookie and the device cookie."""
        self._set_cookie(response, SESSION_COOKIE, session.secret, LIFETIME)
        self._set_cookie(response, DEVICE_COOKIE, session.device, known_devices.LIFETIME)
        return response

    def clear_session_cookie(self, response: Response) -> Response:
        """Delete the session cookie."""
        self._set_cookie(response, SESSION_COOKIE, "", timedelta(0))
        return response

    def sign_out_response(self) -> Response:
        """Return the response of a sign-out: it deletes the session cookie and the browser's cache of this site."""
        # Only the cache: the console keeps drafts and unsent writes in the browser's storage.
        headers = {"Clear-Site-Data": '"cache"'}
        return self.clear_session_cookie(Response(status_code=204, headers=headers))

    def _set_cookie(self, response: Response, name: str, secret: str, lifetime: timedelta) -> None:
        """Set a cookie: HttpOnly, SameSite=Strict, Secure over HTTPS, and only for the paths of this service."""
        response.set_cookie(
            self.cookie_prefix + name,
            secret,
            int(lifetime.total_seconds()),
            path=self.root_path or "/",
            secure=bool(self.cookie_prefix),
            httponly=True,
            samesite="strict",
        )


def needs(action: Action) -> Any:
    """Declare the action of an operation, for the `dependencies` of its decorator."""
    return Depends(RequiredAction(action))


def action_of(path: str, options: Mapping[str, Any]) -> Action:
    """Return the action that a route's decorator declares; raises `TypeError` if there is none."""
    for given in options.get("dependencies") or ():
        if isinstance(given.dependency, RequiredAction):
            return given.dependency.action
    message = f"{path}: the operation declares no action. Add `dependencies=[needs(...)]`."
    raise TypeError(message)


async def authorize(request: Request, action: Action, prefetch: Prefetch | None = None) -> None:
    """Authenticate the caller, and check its permission and CSRF token; raises `Unauthenticated` or `Forbidden`.

    The query of `prefetch` may run in the same round trip to the database.
    """
    if action.role is None:
        if request.method == "POST":
            check_origin(request)
        return
    caller, history_state = await _authenticate(request, prefetch=prefetch)
    action.check(caller)
    if caller.csrf_token is not None and request.method != "GET":
        check_origin(request)
        given = request.headers.get("x-csrf-token", "")
        if not compare_digest(given.encode(), caller.csrf_token.encode()):
            raise Forbidden(
                "The CSRF token is missing or wrong: send the `csrf_token` of `GET /me` in the header X-CSRF-Token."
            )
    request.scope[CALLER], request.scope[HISTORY_STATE] = caller, history_state
    request.scope[USER] = caller.user
    request.app.state.database.note_request(user_of(request))
    request.scope[PREFETCH] = prefetch


def last_authenticated(request: Request) -> Authenticated | None:
    """Return the probable caller: that of the last request with the same credential.

    Only for guesses: the credential may have ended since.
    """
    authenticator: Authenticator = request.app.state.authenticator
    credential = _token(request) or _session_cookie(request)
    return authenticator.last_authenticated(credential) if credential else None


def prefetch_of(request: Request) -> Prefetch | None:
    """Return the query that was to run together with the authentication, if any."""
    return request.scope.get(PREFETCH)


def caller_of(request: Request) -> Caller:
    """Return the authenticated caller. Public operations have none."""
    return request.scope[CALLER]


def history_state_of(request: Request) -> bytes:
    """Return the state of the history when the caller was authenticated: each write of a record changes it."""
    return request.scope[HISTORY_STATE]


async def has_ended(request: Request) -> bool:
    """Whether the credential of a request in progress has ended, or its rights have changed since.

    Asking does not extend the session: an open page, whose stream asks again and again, would keep it alive.
    """
    try:
        return (await _authenticate(request, is_use=False)).caller != caller_of(request)
    except Unauthenticated:
        return True


def turn_key_of(request: Request) -> str:
    """Return the key by which requests take turns before authentication: the credential, or else the network."""
    try:
        credential = _token(request) or _session_cookie(request)
    except InvalidToken:
        credential = None
    return credential or _network(request)


def user_of(request: Request, caller: Caller | None = None) -> str:
    """Return the name by which resources are shared: the user's trigram, or the network of an anonymous client.

    `caller` is that of the request unless given.
    """
    caller = caller or request.scope.get(CALLER)
    if caller is not None and caller.user is not None:
        return caller.user
    return _network(request)


def security_of(action: Action) -> dict[str, Any]:
    """Return the OpenAPI security requirement of an action."""
    return {"security": [] if action.role is None else [{name: []} for name in SECURITY_SCHEMES]}


def denial_statuses(action: Action, methods: Collection[str]) -> tuple[int, ...]:
    """Return the HTTP statuses with which an operation can be denied, for OpenAPI."""
    if action.role is None:
        return ()
    # Every role and scope includes reading as a viewer. A write with the session cookie is 403 without its CSRF token.
    is_open_read = action.role is Role.VIEWER and action.scope is Scope.READ and {*methods} <= {"GET", "HEAD"}
    return (401,) if is_open_read else (401, 403)


async def _authenticate(request: Request, *, is_use: bool = True, prefetch: Prefetch | None = None) -> Authenticated:
    authenticator: Authenticator = request.app.state.authenticator
    token = _token(request)
    if token is not None:
        try:
            return await authenticator.authenticate_token(token, is_use=is_use, prefetch=prefetch)
        except Unauthenticated:
            raise InvalidToken from None
    cookie = _session_cookie(request)
    if cookie is None:
        return await authenticator.authenticate_anonymous()
    try:
        return await authenticator.authenticate_session(cookie, is_use=is_use, prefetch=prefetch)
    except Unauthenticated:
        raise Unauthenticated(ENDED_SESSION) from None


def _token(request: Request) -> str | None:
    """Return the API token of a request; raises `InvalidToken` if its header has another scheme."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidToken("The Authorization header must be `Bearer <token>`.")
    return token.strip()


def _network(request: Request) -> str:
    """Return the name by which clients without credentials share resources."""
    return f"address {network_of(request.client.host if request.client else None)}"


def _session_cookie(request: Request) -> str | None:
    return _cookie(request, _cookie_prefix(request) + SESSION_COOKIE)


def _cookie_prefix(request: Request) -> str:
    """Return what the names of cookies begin with.

    With these prefixes, browsers accept a cookie only over HTTPS; with `__Host-`, only for this host and all its paths.
    """
    if request.scope["scheme"] != "https":
        return ""
    return "__Secure-" if root_path_of(request.scope) else "__Host-"


def _cookie(request: Request, name: str) -> str | None:
    """Return the first cookie of this name.

    Consoles below different paths of one host have cookies of the same name. Browsers send that of the longest path
    first (RFC 6265, 5.4), and a dictionary would keep the last.
    """
    pairs = (pair.partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)
