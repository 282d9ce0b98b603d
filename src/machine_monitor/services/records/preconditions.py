"""Preconditions of a request: If-Match and If-None-Match against a record's version (RFC 9110)."""

from dataclasses import dataclass

from machine_monitor.errors import PreconditionRequired, VersionConflict
from machine_monitor.services.records.storage import Stored

ANY = "*"


@dataclass(frozen=True)
class Conditions:
    """The entity tags that a request names, as they were written; None where the header is absent."""

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None
    required: bool = False

    def check(self, stored: Stored) -> None:
        """Raise `PreconditionRequired` or `VersionConflict` unless the record is the one that was meant."""
        creating = self.if_none_match is not None and ANY in self.if_none_match
        if self.required and self.if_match is None and not creating:
            raise PreconditionRequired
        self.check_current(stored)
        if self.is_known(stored.version):
            raise VersionConflict(current=stored.values)

    def check_current(self, stored: Stored) -> None:
        """Raise `VersionConflict` if `If-Match` names other versions only."""
        # Strong comparison: a tag that begins with W/ never equals ours.
        if self.if_match is not None and not {ANY, etag(stored.version)} & set(self.if_match):
            raise VersionConflict(current=stored.values)

    def check_absent(self) -> None:
        """Raise `VersionConflict` if the request wants a record that is not there."""
        if self.if_match is not None:
            raise VersionConflict(current=None)

    def is_known(self, version: int) -> bool:
        """Whether the client has this version already, by weak comparison."""
        tags = {tag.removeprefix("W/") for tag in self.if_none_match or ()}
        return bool({ANY, etag(version)} & tags)


def etag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'
