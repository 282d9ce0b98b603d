"""The exceptions of the client. Their text is written for users; programs decide by class or `code`."""

from typing import Any

TEMPORARY = frozenset({429, 502, 503, 504})


class ClientError(Exception):
    """Base class of all errors of the client."""


class Unavailable(ClientError):
    """The service sent no response, however often the request was repeated. A write may have happened or not."""


class Problem(ClientError):
    """The service refused the request. `status`, `code` and `detail` are those of the problem details (RFC 9457).

    `document` is the whole problem, `errors` its list of errors. The response of a proxy has none, and an empty code.
    `was_repeated` is true if an earlier attempt may have been executed.
    """

    def __init__(self, status: int, document: dict[str, Any], *, retry_after: float | None = None) -> None:
        self.status = status
        self.document = document
        self.code = str(document.get("code", ""))
        self.detail = str(document.get("detail", f"The response has status {status} and is no problem document."))
        self.errors: list[dict[str, Any]] = document.get("errors", [])
        self.retry_after = retry_after
        self.was_repeated = False
        super().__init__(" ".join(dict.fromkeys([self.detail, *(str(error.get("message")) for error in self.errors)])))

    @property
    def is_from_service(self) -> bool:
        """Whether the service itself refused the request, so that it was not executed; else a proxy did."""
        return bool(self.code)

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later: too many requests, or the service is busy or stopped."""
        # 409 with Retry-After: the first attempt with this idempotency key is still running.
        return self.status in TEMPORARY or (self.status == 409 and self.retry_after is not None)


class VersionConflict(Problem):
    """Somebody changed the record since the version that was given; `current` is the record as it is now."""

    @property
    def current(self) -> dict[str, Any]:
        """The record as it is now."""
        return self.document["current"]


class HistoryReplaced(Problem):
    """The history no longer contains the follower's position, for example because a backup was restored.

    Empty what was built from the changes, and follow again from `START`.
    """


BY_CODE: dict[str, type[Problem]] = {"version-conflict": VersionConflict, "history-replaced": HistoryReplaced}
