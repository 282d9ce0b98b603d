"""Preconditions of a request: If-Match and If-None-Match against a record's version (RFC 9110)."""

import re
from dataclasses import dataclass

from machine_monitor.errors import PreconditionRequired, VersionConflict
from machine_monitor.services.records.storage import StoredRecord

ANY = "*"
# An entity tag of ours, as a proxy may change it when it compresses the response: nginx makes it weak (W/), Apache and
# Caddy append the encoding. Our tags contain neither `-` nor `;`. The last group is any other tag.
_ENTITY_TAG = re.compile(r'(?:W/)?(?:("[^-;"]*)(?:[-;]+(?:gzip|br|zstd|deflate))*"|("[^"]*"|\*))')


@dataclass(frozen=True)
class Preconditions:
    """The entity tags of If-Match and If-None-Match, by `parse_entity_tags`; None if the header is absent.

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
        if self.if_match is not None and not {ANY, etag(stored.version)} & set(self.if_match):
            raise VersionConflict(current=stored.values)

    def check_absent(self) -> None:
        """Raise `VersionConflict` if the request has If-Match but the record does not exist."""
        if self.if_match is not None:
            detail = "There is no such record, so If-Match names no version of it. Leave out If-Match to create it."
            raise VersionConflict(detail, current=None)

    def matches_if_none_match(self, version: int) -> bool:
        """Whether If-None-Match names this version: the client's copy is current."""
        return bool({ANY, etag(version)} & set(self.if_none_match or ()))


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def parse_entity_tags(header: str) -> tuple[str, ...]:
    """Return the entity tags of a header as the service sent them.

    A tag names the version, not the bytes. So `W/"3"` and `"3-gzip"`, which proxies make of `"3"`, are `"3"`.
    """
    return tuple(other or f'{ours}"' for ours, other in _ENTITY_TAG.findall(header))
