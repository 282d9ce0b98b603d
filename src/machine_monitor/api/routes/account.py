"""The caller's own account: sign-in, sign-out, sessions, current user, password; and invitation links."""

from fastapi import Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import ClientDep, CurrentUser, SignInContext, SignInDep
from machine_monitor.api.openapi.documents import ANYWHERE, BODIES, WRITES, json_operation
from machine_monitor.api.route import SecretRoute, create_router
from machine_monitor.api.serving import sign_in_log
from machine_monitor.api.writing import Write
from machine_monitor.models.accounts.sign_in import Link, Me, NewPassword, SessionList, SetUp, SignedIn, SignIn
from machine_monitor.models.fields import Trigram
from machine_monitor.services.access.permissions import (
    CHANGE_PASSWORD,
    END_SESSION,
    INVITE,
    PUBLIC,
    READ,
    SEE_SESSIONS,
    SIGN_OUT,
)
from machine_monitor.services.accounts import generated_secrets, invitations, password_sign_in, sessions
from machine_monitor.services.accounts.password_sign_in import NewSession

router = create_router("account", SecretRoute)


@router.get("/me", dependencies=[needs(READ)], **json_operation(Me, *ANYWHERE, 422))
async def read_me(caller: CurrentUser, sign: SignInDep) -> Response:
    """Read the signed-in user. With the scope of the credential, and the session's CSRF token."""
    user = None if caller.user is None else await sign.user(caller.user)
    scope = caller.scope.name.lower()
    return responses.uncached_response(
        {"user": user, "scope": scope, "via": caller.via, "csrf_token": caller.csrf_token}
    )


@router.put("/me/password", dependencies=[needs(CHANGE_PASSWORD)], **json_operation(None, *BODIES, 429, status=204))
async def change_password(body: NewPassword, write: Write, sign: SignInDep) -> Response:
    """Change your password. All of your sessions end, this one too; tokens remain valid."""
    user = write.caller.user
    assert user is not None
    with sign_in_log.recorded(sign.request_id, sign.client.browser.address, user):
        await password_sign_in.change_password(sign.database, user, body, write.change_context)
    return sign.client.clear_session_cookie(Response(status_code=204))


@router.get("/me/sessions", dependencies=[needs(SEE_SESSIONS)], **json_operation(SessionList, *ANYWHERE, 422))
async def list_sessions(caller: CurrentUser, sign: SignInDep) -> Response:
    """List your sessions. These are the browsers in which you are signed in, the last used first."""
    user = caller.user
    assert user is not None
    items = await sign.database.read(lambda tx: sessions.read_all(tx, user, caller.session))
    return responses.json_response(SessionList(items=items).model_dump_json().encode())


@router.delete("/me/sessions/{id}", dependencies=[needs(END_SESSION)], **json_operation(None, *WRITES, 404, status=204))
async def end_session(
    id: str,  # noqa: A002 -- the contract's name of it
    write: Write,
    client: ClientDep,
) -> Response:
    """End one of your sessions. This signs out that browser; you, if it is the session of this request."""
    user = write.caller.user
    assert user is not None
    ended = await write.database.write(lambda tx: sessions.end_by_id(tx, user, id, write.change_context()))
    if ended == write.caller.session:
        return client.sign_out_response()
    return Response(status_code=204)


@router.post("/session", dependencies=[needs(PUBLIC)], **json_operation(SignedIn, *BODIES, 401, 403, 429))
async def sign_in(body: SignIn, sign: SignInDep) -> Response:
    """Sign in with a password. Sets a session cookie that expires after 12 hours, or 30 minutes without a request.

    The former session of this browser ends. A second cookie recognizes the browser for 90 days: failed sign-ins
    elsewhere do not count against it.
    """
    with sign_in_log.recorded(sign.request_id, sign.client.browser.address, body.trigram):
        session = await password_sign_in.sign_in(sign.database, body, sign.client.browser)
    return await _signed_in(sign, session)


@router.delete("/session", dependencies=[needs(SIGN_OUT)], **json_operation(None, *WRITES, status=204))
async def sign_out(caller: CurrentUser, sign: SignInDep) -> Response:
    """Sign out. Ends the session and clears the browser's cache. Has no effect on a request with a token."""
    digest = caller.session
    if digest is not None:
        await sign.database.write(lambda tx: sessions.end(tx, digest))
    return sign.client.sign_out_response()


@router.post("/setup", dependencies=[needs(PUBLIC)], **json_operation(SignedIn, *BODIES, 403, 410))
async def set_up(body: SetUp, sign: SignInDep) -> Response:
    """Set a password with the code of a setup or invitation link, and sign in.

    A code works once and expires (410). `trigram` is required for the first admin, optional for an invited user.
    `first_name` and `last_name` replace the stored names if they are given.
    """
    trigram = await invitations.accept(sign.database, body, sign.request_id)
    return await _signed_in(sign, await password_sign_in.begin(sign.database, trigram, sign.client.browser))


@router.post(
    "/users/{trigram}/invitation", dependencies=[needs(INVITE)], **json_operation(Link, *WRITES, 404, 409, status=201)
)
async def invite_user(trigram: Trigram, write: Write, client: ClientDep) -> Response:
    """Create a link with which the user sets a password, once and within 24 hours. Earlier links stop working."""
    link = await write.database.write(lambda tx: invitations.invite(tx, trigram, write.change_context()))
    return responses.uncached_response({"url": link.url(client.base_url), "expires_at": link.expires_at}, 201)


async def _signed_in(sign: SignInContext, session: NewSession) -> Response:
    user = await sign.user(session.trigram)
    response = responses.uncached_response({"user": user, "csrf_token": generated_secrets.csrf_token(session.secret)})
    return sign.client.set_cookies(response, session)
