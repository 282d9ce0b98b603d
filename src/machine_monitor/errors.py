"""The exceptions of the product. Raised in any layer; the API renders them as problems, the CLI prints their text.

Each class with a `code` is a problem of the API. `PROBLEMS` lists them, and `GET /problems/{code}` explains them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class MonitorError(Exception):
    """Base class of all expected errors. Its text is written for users."""

    @property
    def detail(self) -> str:
        """The text for users."""
        return str(self)


class BadSetting(MonitorError):
    """A setting is invalid; the process does not start."""


class SchemaMismatch(MonitorError):
    """The database schema is older or newer than the code; the text names the command to run."""


class DatabaseFault(MonitorError):
    """An unexpected error of the database driver; the text contains no values of records."""


class UsageError(MonitorError):
    """A command cannot do what was requested; nothing was changed."""


@dataclass(frozen=True)
class Fault:
    """One fault of a request: its place (JSON pointer into the body, or parameter) and what is wrong."""

    message: str
    code: str = "invalid"
    pointer: str | None = None
    parameter: str | None = None
    allowed: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fault as an item of `errors`."""
        members = vars(self) | {"allowed": list(self.allowed)}
        return {name: value for name, value in members.items() if value not in (None, [])}


class Problem(MonitorError):
    """An error response of the API: problem details (RFC 9457). `faults` lists what is wrong with the request."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str]
    retry_after: int | None = None

    def __init__(self, detail: str = "", faults: Sequence[Fault] = (), **members: Any) -> None:
        super().__init__(detail or (faults[0].message if faults else self.explanation))
        self.faults = tuple(faults)
        self.members = members  # further members of the problem document, such as `current`
        self.headers: dict[str, str] = {}  # further headers of the response


class BadRequest(Problem):
    """400."""

    status, code, title = 400, "bad-request", "Bad request"
    explanation = "The request cannot be read: its URL or one of its headers is malformed."


class BadJson(BadRequest):
    """400."""

    code, title = "bad-json", "Invalid JSON"
    explanation = (
        "The body must be JSON (RFC 8259) in UTF-8, without duplicate keys, NaN or Infinity, and not nested too deeply."
    )


class BadCursor(BadRequest):
    """400."""

    code, title = "bad-cursor", "Invalid cursor"
    explanation = "The cursor is invalid: send `next` or `previous` of a response, unchanged."


class CursorMismatch(BadRequest):
    """400."""

    code, title = "cursor-mismatch", "Cursor of another list"
    explanation = (
        "The cursor belongs to another list, other filters or another sort order. "
        "Repeat the parameters of the first page, or start again without a cursor."
    )


class Unauthenticated(Problem):
    """401."""

    status, code, title = 401, "unauthenticated", "Authentication required"
    # The header WWW-Authenticate (RFC 6750).
    challenge: ClassVar[str] = "Bearer"
    explanation = "Missing credentials: send `Authorization: Bearer <token>`, or sign in."


class Forbidden(Problem):
    """403."""

    status, code, title = 403, "forbidden", "Not allowed"
    explanation = (
        "You are signed in but not allowed to do this. It depends on your role, on the scope of the token, "
        "and for some actions on the record."
    )


class CrossSite(Forbidden):
    """403."""

    code, title = "cross-site", "From another site"
    explanation = (
        "The browser says that a page of another site sent this request. If it was a page of this service, the proxy "
        "in front of it changes the host name: let it pass on `Host` with its port (nginx: "
        "`proxy_set_header Host $http_host;`) or set `X-Forwarded-Host`, and list its address in FORWARDED_ALLOW_IPS. "
        "To allow another site, add its origin to MM_CORS_ORIGINS."
    )


class NotFound(Problem):
    """404."""

    status, code, title = 404, "not-found", "Not found"
    explanation = "There is nothing at this URL. `/docs` lists all paths."


class MethodNotAllowed(Problem):
    """405."""

    status, code, title = 405, "method-not-allowed", "Method not allowed"
    explanation = "This path does not support the method. The header `Allow` lists the methods that it supports."


class Conflict(Problem):
    """409."""

    status, code, title = 409, "conflict", "Conflict"
    explanation = "A record with this key already exists, or another write was faster. Read the record and try again."


class IdempotencyKeyReused(Problem):
    """422."""

    status, code, title = 422, "idempotency-key-reused", "Idempotency key reused"
    explanation = (
        "This Idempotency-Key was used for a different request. A retry must send exactly the same body; "
        "a new request needs a new key."
    )


class MachineHasLogs(Conflict):
    """409."""

    code, title = "machine-has-logs", "Machine has logs"
    explanation = (
        "A machine with logs, deleted ones included, cannot be deleted. "
        'Take it out of service instead: PATCH it with {"in_service": false}. '
        "If it is another machine under a second name, merge it: POST /machines/{name}/merge."
    )


class InUse(Conflict):
    """409."""

    code, title = "in-use", "Still in use"
    explanation = 'Logs refer to this record, so it cannot be deleted. Deactivate it: PATCH it with {"active": false}.'


class Gone(Problem):
    """410."""

    status, code, title = 410, "gone", "Gone"
    explanation = "This log was deleted. Its history is still available at `/logs/{uuid}/history`."


class HistoryReplaced(Problem):
    """410."""

    status, code, title = 410, "history-replaced", "History replaced"
    explanation = (
        "The history does not contain the change that you continue from: the database was restored from a backup, or "
        "replaced by one that had not received that change. Discard your copy, and read everything again: `since=0`."
    )


class VersionConflict(Problem):
    """412."""

    status, code, title = 412, "version-conflict", "The record has changed"
    explanation = (
        "The record was changed since you read it. `current` is the record as it is now: "
        "merge your change into it, and send it again with its ETag as If-Match."
    )


class PayloadTooLarge(Problem):
    """413."""

    status, code, title = 413, "payload-too-large", "Body too large"
    explanation = (
        "The body is too large: at most 1 MiB; 8 MiB for `POST /logs/bulk`; 4 KiB for sign-in, passwords and tokens; "
        "for a form with attachments, ten files of the largest size."
    )


class FileTooLarge(PayloadTooLarge):
    """413."""

    code, title = "file-too-large", "File too large"
    explanation = "A file is larger than this site allows (MM_MAX_FILE). Send a smaller one."

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"A file may have at most {max_bytes:,} bytes (MM_MAX_FILE).")


class TableTooLarge(PayloadTooLarge):
    """413."""

    code, title = "table-too-large", "Table too large"
    explanation = "An uploaded table may have at most 300 MB. Split it, compress it (.gz, .xz), or use `mm import`."


class RangeNotSatisfiable(Problem):
    """416."""

    status, code, title = 416, "range-not-satisfiable", "Range not satisfiable"
    explanation = "The file has no bytes in this range. The header `Content-Range` has its size."

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size:,} bytes, and none in this range.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class UriTooLong(Problem):
    """414."""

    status, code, title = 414, "uri-too-long", "URL too long"
    explanation = "The URL is too long: at most 8 KiB, including the query string."


class UnsupportedMediaType(Problem):
    """415."""

    status, code, title = 415, "unsupported-media-type", "Unsupported media type"
    explanation = (
        "Send the body as `Content-Type: application/json`, a PATCH also as `application/merge-patch+json`, "
        "and a form with attachments as `multipart/form-data`."
    )


class Invalid(Problem):
    """422."""

    status, code, title = 422, "validation", "Invalid request"
    explanation = "A value is missing, has the wrong type or is out of range. `errors` lists every fault."


class UnknownParameter(Invalid):
    """422."""

    code, title = "unknown-parameter", "Unknown query parameter"
    explanation = "This URL does not have that query parameter. Unknown parameters are never ignored."


class UnknownMachine(Invalid):
    """422."""

    code, title = "unknown-machine", "Unknown machine"
    explanation = "The body names a machine that does not exist. Create it first, or correct the name."


class UnknownType(Invalid):
    """422."""

    code, title = "unknown-type", "Unknown type"
    explanation = "The body names a log type that does not exist. `GET /log-types` lists the log types."


class UnknownUser(Invalid):
    """422."""

    code, title = "unknown-user", "Unknown user"
    explanation = "The body names a user that does not exist. `GET /users` lists the users."


class PreconditionRequired(Problem):
    """428."""

    status, code, title = 428, "precondition-required", "If-Match required"
    explanation = "This site requires `If-Match` with the record's ETag for every change of an existing record."


class RateLimited(Problem):
    """429."""

    status, code, title = 429, "rate-limited", "Too many attempts"
    explanation = (
        "There were too many failed sign-ins, or too many streams are open. "
        "Wait for the number of seconds in the header `Retry-After`."
    )

    def __init__(self, seconds: int, detail: str = "") -> None:
        super().__init__(detail)
        self.retry_after = seconds


class InternalError(Problem):
    """500."""

    status, code, title = 500, "internal", "Internal error"
    explanation = "The server failed unexpectedly. Tell an administrator the request id: the log has details under it."


class FileMissing(InternalError):
    """500."""

    code, title = "file-missing", "File missing"
    explanation = (
        "The bytes of this attachment are not in the store (MM_FILES). Restore them from a backup; "
        "`mm verify --files` lists what is missing."
    )


class FilesUnavailable(Problem):
    """503."""

    status, code, title = 503, "files-unavailable", "Attachments unavailable"
    explanation = (
        "Attachments cannot be read or added now; `detail` says why. If the header `Retry-After` is there, the service "
        "is only busy: try again. Otherwise an administrator has to set MM_FILES to a folder that the service can use."
    )

    def __init__(self, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class DatabaseBusy(Problem):
    """503."""

    status, code, title = 503, "database-busy", "Database busy"
    explanation = "The database is busy or cannot be reached. Try again in a moment; it is safe to repeat a PUT."
    retry_after = 1


class QueryTimeout(Problem):
    """503."""

    status, code, title = 503, "query-timeout", "Query timed out"
    explanation = "The query took longer than this site allows. Narrow it, for example to a time range or a machine."
    retry_after = 5


class StorageFull(Problem):
    """507."""

    status, code, title = 507, "storage-full", "Storage full"
    explanation = (
        "The disk of the database, or of the attachments, is full; nothing was written. Reading still "
        "works. Try again when an administrator has freed space."
    )


def _tree(root: type[Problem]) -> dict[str, type[Problem]]:
    """Return all subclasses of `root` by their codes."""
    children = root.__subclasses__()
    return {kind.code: kind for child in children for kind in (child, *_tree(child).values())}


PROBLEMS = _tree(Problem)
# Faults per problem; the rest is only counted.
MAX_FAULTS = 100


def invalid(faults: Sequence[Fault]) -> Invalid:
    """Return the 422 problem for these faults: of their common kind if they have one, otherwise `validation`."""
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
