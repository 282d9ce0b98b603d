"""What a statement depends on, apart from its values: one shape, one compiled statement."""

from dataclasses import dataclass

from machine_monitor.query.operators import Operator
from machine_monitor.query.statements.keysets import Keyset
from machine_monitor.query.vocabulary import Field, Resource

# The fields of a document, and the related records to add to it.
Selection = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Filter:
    """The shape of one condition: `operands` has the aspect of each value asked of an attribute, else `d` or `v`.

    A `d` is a day, a `v` any other value.
    """

    field: Field
    operator: Operator
    operands: str


@dataclass(frozen=True)
class Matching:
    """Which records are meant; `searched` says whether words must be found too, None that none ever are."""

    resource: Resource
    filters: tuple[Filter, ...] = ()
    searched: bool | None = False


@dataclass(frozen=True)
class Shape:
    """All that a list's statement depends on; `limit` is a part of its text where the engine plans by it."""

    matching: Matching
    order: tuple[tuple[str, bool], ...]
    fields: tuple[str, ...]
    expand: tuple[str, ...]
    keyset: Keyset | None = None
    count: str = "none"
    offset: bool = False
    limit: int | None = None

    @property
    def resource(self) -> Resource:
        """The resource whose records are listed."""
        return self.matching.resource

    @property
    def backward(self) -> bool:
        """Whether the page is read against the list's order."""
        return self.keyset is not None and self.keyset.backward
