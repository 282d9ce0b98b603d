"""The error tree: facts of the domain, raised anywhere, rendered once for HTTP and once for a terminal.

Each class with a `code` is one problem of the API; `PROBLEMS` lists them, `/problems/{code}` prints them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class MonitorError(Exception):
    """Anything that this product says no to; its text is one sentence for a person."""

    @property
    def detail(self) -> str:
        """The sentence that a person reads."""
        return str(self)


class BadSetting(MonitorError):
    """A setting that cannot be used; the process does not start."""


class SchemaMismatch(MonitorError):
    """The database is behind or ahead of the code; the text names the command that mends it."""


class DatabaseFault(MonitorError):
    """An error of a driver that nobody foresaw; the text holds no value of a record."""


class UsageError(MonitorError):
    """A command that cannot do what it was asked; nothing was done."""


@dataclass(frozen=True)
class Fault:
    """One fault of a request: where it is (`pointer` into the body, or `parameter`), and what it is."""

    message: str
    code: str = "invalid"
    pointer: str | None = None
    parameter: str | None = None
    allowed: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The fault as a problem's `errors[]` shows it."""
        members = vars(self) | {"allowed": list(self.allowed)}
        return {name: value for name, value in members.items() if value not in (None, [])}


class Problem(MonitorError):
    """An error that the API answers: RFC 9457 fields, with what the request did wrong in `faults`."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str]
    retry_after: int | None = None

    def __init__(self, detail: str = "", faults: Sequence[Fault] = (), **members: Any) -> None:
        super().__init__(detail or (faults[0].message if faults else self.explanation))
        self.faults = tuple(faults)
        self.members = members  # further members of the problem document, such as `current`


class BadRequest(Problem):
    """400."""

    status, code, title = 400, "bad-request", "Bad request"
    explanation = "The request cannot be read: its URL or one of its headers is malformed."


class BadJson(BadRequest):
    """400."""

    code, title = "bad-json", "Body is not JSON"
    explanation = "The body is not JSON (RFC 8259, UTF-8), names a key twice, has NaN or Infinity, or is too deep."


class BadCursor(BadRequest):
    """400."""

    code, title = "bad-cursor", "Cursor cannot be read"
    explanation = "A cursor is taken from `next` or `previous` of an answer, and used unaltered."


class CursorMismatch(BadRequest):
    """400."""

    code, title = "cursor-mismatch", "Cursor of another list"
    explanation = "A cursor belongs to the filters and the sort of its list: start again without one, or repeat them."


class Unauthenticated(Problem):
    """401."""

    status, code, title = 401, "unauthenticated", "Not signed in"
    explanation = "The request needs a credential, and this is none: a bearer token, or the cookie of a session."


class Forbidden(Problem):
    """403."""

    status, code, title = 403, "forbidden", "Not allowed"
    explanation = "The credential is good, but does not allow this: the role, its scope or the record decides."


class NotFound(Problem):
    """404."""

    status, code, title = 404, "not-found", "Not found"
    explanation = "There is nothing at this address."


class MethodNotAllowed(Problem):
    """405."""

    status, code, title = 405, "method-not-allowed", "Method not allowed"
    explanation = "This address does not know that method; the header `Allow` lists those it knows."


class Conflict(Problem):
    """409."""

    status, code, title = 409, "conflict", "Conflict"
    explanation = "A record with this key exists already, or another write was faster."


class IdempotencyKeyReused(Problem):
    """422."""

    status, code, title = 422, "idempotency-key-reused", "Idempotency key reused"
    explanation = "Another request was sent with this Idempotency-Key: a retry sends the very same bytes."


class MachineHasLogs(Conflict):
    """409."""

    code, title = "machine-has-logs", "Machine has logs"
    explanation = (
        "A machine that has logs, deleted ones included, is not deleted: its history would lose its place. "
        'Take it out of service instead: PATCH it with {"in_service": false}.'
    )


class InUse(Conflict):
    """409."""

    code, title = "in-use", "Still in use"
    explanation = 'Logs name this record, so it stays. Switch it off instead: PATCH it with {"active": false}.'


class Gone(Problem):
    """410."""

    status, code, title = 410, "gone", "Gone"
    explanation = "This log was deleted; its history can still be read at `/logs/{uuid}/history`."


class VersionConflict(Problem):
    """412."""

    status, code, title = 412, "version-conflict", "The record has changed"
    explanation = (
        "The record is not the one that the request was made for. `current` holds it as it is now: "
        "merge, and send again with its ETag."
    )


class PayloadTooLarge(Problem):
    """413."""

    status, code, title = 413, "payload-too-large", "Body too large"
    explanation = "A body has at most 1 MiB, that of a bulk call 8 MiB."


class UriTooLong(Problem):
    """414."""

    status, code, title = 414, "uri-too-long", "URL too long"
    explanation = "An address with its query has at most 8 KiB."


class UnsupportedMediaType(Problem):
    """415."""

    status, code, title = 415, "unsupported-media-type", "Unsupported media type"
    explanation = "A body comes with `Content-Type: application/json`; PATCH also takes `application/merge-patch+json`."


class Invalid(Problem):
    """422."""

    status, code, title = 422, "validation", "Invalid request"
    explanation = "A value of the request is missing, of the wrong type or out of range; `errors` lists each."


class UnknownParameter(Invalid):
    """422."""

    code, title = "unknown-parameter", "Unknown query parameter"
    explanation = "The address does not know that query parameter; nothing is ever ignored."


class UnknownMachine(Invalid):
    """422."""

    code, title = "unknown-machine", "Unknown machine"
    explanation = "The body names a machine that does not exist. Create it first, or mend the name."


class UnknownType(Invalid):
    """422."""

    code, title = "unknown-type", "Unknown type"
    explanation = "The body names a log type that does not exist. `GET /log-types` lists them."


class UnknownUser(Invalid):
    """422."""

    code, title = "unknown-user", "Unknown user"
    explanation = "The body names a user that does not exist. `GET /users` lists them."


class PreconditionRequired(Problem):
    """428."""

    status, code, title = 428, "precondition-required", "If-Match required"
    explanation = "This site wants `If-Match` with the record's ETag on every change of an existing record."


class RateLimited(Problem):
    """429."""

    status, code, title = 429, "rate-limited", "Too many attempts"
    explanation = "There were too many attempts to sign in. Wait for as many seconds as `Retry-After` says."

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.retry_after = seconds


class InternalError(Problem):
    """500."""

    status, code, title = 500, "internal", "Internal error"
    explanation = "The server failed. The request id finds the reason in its log."


class DatabaseBusy(Problem):
    """503."""

    status, code, title = 503, "database-busy", "Database busy"
    explanation = "The database cannot be reached or is busy. Try again; a write may be repeated by PUT."
    retry_after = 1


class QueryTimeout(Problem):
    """503."""

    status, code, title = 503, "query-timeout", "Query stopped"
    explanation = "The query took longer than this site allows. Narrow it: a range of time, a machine, a type."
    retry_after = 5


class StorageFull(Problem):
    """507."""

    status, code, title = 507, "storage-full", "Storage full"
    explanation = "The disk of the database is full; nothing was written. Reading still works."


def _tree(root: type[Problem]) -> dict[str, type[Problem]]:
    """Every class below `root` by its code."""
    children = root.__subclasses__()
    return {kind.code: kind for child in children for kind in (child, *_tree(child).values())}


PROBLEMS = _tree(Problem)
# As many as anyone reads.
MAX_FAULTS = 100


def invalid(faults: Sequence[Fault]) -> Invalid:
    """The 422 of a request with these faults: of their own kind if they are all of one, else `validation`."""
    if len(faults) > MAX_FAULTS:
        faults = [*faults[:MAX_FAULTS], Fault(f"There are {len(faults) - MAX_FAULTS} more faults.", "more")]
    kinds = {_kind(fault) for fault in faults}
    problem = kinds.pop() if len(kinds) == 1 else Invalid
    return problem(faults=faults)


def _kind(fault: Fault) -> type[Invalid]:
    if fault.code == "unknown" and fault.parameter is not None:
        return UnknownParameter
    kinds = {"unknown-machine": UnknownMachine, "unknown-type": UnknownType, "unknown-user": UnknownUser}
    return kinds.get(fault.code, Invalid)
