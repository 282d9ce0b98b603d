"""One's own account: signing in and out, who one is, the password; and the links that begin an account."""

from fastapi import Response

from machine_monitor.api import answers
from machine_monitor.api.access import needs
from machine_monitor.api.deps import By, Sign, Signing
from machine_monitor.api.openapi.documents import ANYWHERE, BODIES, WRITES, answered
from machine_monitor.api.route import tagged
from machine_monitor.models.accounts.sign_in import Link, Me, NewPassword, SetUp, SignedIn, SignIn
from machine_monitor.models.fields import Trigram
from machine_monitor.services.access.permissions import CHANGE_PASSWORD, INVITE, READ, SIGN_OUT, USE
from machine_monitor.services.accounts import codes, invitations, sessions, signing_in

router = tagged("account")


@router.get("/me", dependencies=[needs(READ)], **answered(Me, *ANYWHERE, 422))
async def read_me(caller: By, sign: Sign) -> Response:
    """Who asks: the user, what the credential may, and what writes by cookie carry."""
    user = None if caller.user is None else await sign.user(caller.user)
    scope = caller.scope.name.lower()
    return answers.secret({"user": user, "scope": scope, "via": caller.via, "csrf_token": caller.csrf_token})


@router.put("/me/password", dependencies=[needs(CHANGE_PASSWORD)], **answered(None, *BODIES, 429, status=204))
async def change_password(body: NewPassword, caller: By, sign: Sign) -> Response:
    """Change one's password. Every session of the user ends, this one too; tokens stay."""
    assert caller.user is not None
    await signing_in.change_password(sign.database, caller.user, body)
    return sign.browser.forget(Response(status_code=204))


@router.post("/session", dependencies=[needs(USE)], **answered(SignedIn, *BODIES, 401, 403, 429))
async def sign_in(body: SignIn, sign: Sign) -> Response:
    """Sign in with a password: the answer sets a cookie, good for 12 hours and until 30 minutes without a request."""
    return await _welcome(sign, *await signing_in.sign_in(sign.database, body, sign.browser.address))


@router.delete("/session", dependencies=[needs(SIGN_OUT)], **answered(None, *WRITES, status=204))
async def sign_out(caller: By, sign: Sign) -> Response:
    """End the session; without one, with a token, there is nothing to end."""
    digest = caller.session
    if digest is not None:
        await sign.database.write(lambda tx: sessions.end(tx, digest))
    return sign.browser.forget(Response(status_code=204))


@router.post("/setup", dependencies=[needs(USE)], **answered(SignedIn, *BODIES, 403, 410))
async def set_up(body: SetUp, sign: Sign) -> Response:
    """Choose a password with the code of a link, and sign in: an invited user, or the first admin.

    A code is good once, and not for long: after that it is 410. `trigram` is required of the first admin; of an invited
    user it may be left out. A name that is given replaces what is stored.
    """
    trigram = await invitations.accept(sign.database, body)
    return await _welcome(sign, trigram, await signing_in.begin(sign.database, trigram))


@router.post(
    "/users/{trigram}/invitation", dependencies=[needs(INVITE)], **answered(Link, *WRITES, 404, 409, status=201)
)
async def invite_user(trigram: Trigram, sign: Sign) -> Response:
    """Make a link by which a user chooses a password, once within 24 hours; it replaces the link before."""
    made = await sign.database.write(lambda tx: invitations.invite(tx, trigram))
    return answers.secret({"url": made.url(sign.browser.base), "expires_at": made.expires_at}, 201)


async def _welcome(sign: Signing, trigram: str, secret: str) -> Response:
    user = await sign.user(trigram)
    return sign.browser.keep(answers.secret({"user": user, "csrf_token": codes.csrf_token(secret)}), secret)
