"""The caller's own account: sign-in, sign-out, current user, password; and invitation links."""

from fastapi import Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import CurrentUser, SignInContext, SignInDep
from machine_monitor.api.openapi.documents import ANYWHERE, BODIES, WRITES, json_operation
from machine_monitor.api.route import create_router
from machine_monitor.models.accounts.sign_in import Link, Me, NewPassword, SetUp, SignedIn, SignIn
from machine_monitor.models.fields import Trigram
from machine_monitor.services.access.permissions import CHANGE_PASSWORD, INVITE, PUBLIC, READ, SIGN_OUT
from machine_monitor.services.accounts import generated_secrets, invitations, password_sign_in, sessions

router = create_router("account")


@router.get("/me", dependencies=[needs(READ)], **json_operation(Me, *ANYWHERE, 422))
async def read_me(caller: CurrentUser, sign: SignInDep) -> Response:
    """Read who is signed in. The user, the scope of the credential, and the session's CSRF token."""
    user = None if caller.user is None else await sign.user(caller.user)
    scope = caller.scope.name.lower()
    return responses.uncached_response(
        {"user": user, "scope": scope, "via": caller.via, "csrf_token": caller.csrf_token}
    )


@router.put("/me/password", dependencies=[needs(CHANGE_PASSWORD)], **json_operation(None, *BODIES, 429, status=204))
async def change_password(body: NewPassword, caller: CurrentUser, sign: SignInDep) -> Response:
    """Change your password. All of your sessions end, this one too; tokens remain valid."""
    assert caller.user is not None
    await password_sign_in.change_password(sign.database, caller.user, body)
    return sign.client.clear_cookie(Response(status_code=204))


@router.post("/session", dependencies=[needs(PUBLIC)], **json_operation(SignedIn, *BODIES, 401, 403, 429))
async def sign_in(body: SignIn, sign: SignInDep) -> Response:
    """Sign in with a password. Sets a session cookie that expires after 12 hours, or 30 minutes without a request."""
    return await _signed_in(sign, *await password_sign_in.sign_in(sign.database, body, sign.client.ip_address))


@router.delete("/session", dependencies=[needs(SIGN_OUT)], **json_operation(None, *WRITES, status=204))
async def sign_out(caller: CurrentUser, sign: SignInDep) -> Response:
    """Sign out: end the session. Has no effect on a request with a token."""
    digest = caller.session
    if digest is not None:
        await sign.database.write(lambda tx: sessions.end(tx, digest))
    return sign.client.clear_cookie(Response(status_code=204))


@router.post("/setup", dependencies=[needs(PUBLIC)], **json_operation(SignedIn, *BODIES, 403, 410))
async def set_up(body: SetUp, sign: SignInDep) -> Response:
    """Set a password with the code of a setup or invitation link, and sign in.

    A code works once and expires (410). `trigram` is required for the first admin, optional for an invited user.
    `first_name` and `last_name` replace the stored names if they are given.
    """
    trigram = await invitations.accept(sign.database, body)
    return await _signed_in(sign, trigram, await password_sign_in.begin(sign.database, trigram))


@router.post(
    "/users/{trigram}/invitation", dependencies=[needs(INVITE)], **json_operation(Link, *WRITES, 404, 409, status=201)
)
async def invite_user(trigram: Trigram, sign: SignInDep) -> Response:
    """Create a link with which the user sets a password, once and within 24 hours. Earlier links stop working."""
    link = await sign.database.write(lambda tx: invitations.invite(tx, trigram))
    return responses.uncached_response({"url": link.url(sign.client.base_url), "expires_at": link.expires_at}, 201)


async def _signed_in(sign: SignInContext, trigram: str, secret: str) -> Response:
    user = await sign.user(trigram)
    response = responses.uncached_response({"user": user, "csrf_token": generated_secrets.csrf_token(secret)})
    return sign.client.set_cookie(response, secret)
