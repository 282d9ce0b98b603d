"""Preconditions of a request: If-Match and If-None-Match against a record's version (RFC 9110)."""

from dataclasses import dataclass

from machine_monitor.errors import PreconditionRequired, VersionConflict
from machine_monitor.services.records.storage import StoredRecord

ANY = "*"


@dataclass(frozen=True)
class Preconditions:
    """The entity tags of If-Match and If-None-Match, verbatim; None if the header is absent.

    `required` makes If-Match mandatory for writes.
    """

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None
    required: bool = False

    def check(self, stored: StoredRecord) -> None:
        """Enforce the preconditions of a write (optimistic concurrency control).

        Raises `PreconditionRequired` or `VersionConflict`.
        """
        creating = self.if_none_match is not None and ANY in self.if_none_match
        if self.required and self.if_match is None and not creating:
            raise PreconditionRequired
        self.check_if_match(stored)
        if self.matches_if_none_match(stored.version):
            raise VersionConflict(current=stored.values)

    def check_if_match(self, stored: StoredRecord) -> None:
        """Raise `VersionConflict` if If-Match does not name the current version."""
        # Strong comparison: a weak tag (W/) never matches.
        if self.if_match is not None and not {ANY, etag(stored.version)} & set(self.if_match):
            raise VersionConflict(current=stored.values)

    def check_absent(self) -> None:
        """Raise `VersionConflict` if the request has If-Match but the record does not exist."""
        if self.if_match is not None:
            raise VersionConflict(current=None)

    def matches_if_none_match(self, version: int) -> bool:
        """Whether If-None-Match names this version (weak comparison): the client's copy is current."""
        tags = {tag.removeprefix("W/") for tag in self.if_none_match or ()}
        return bool({ANY, etag(version)} & tags)


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'
