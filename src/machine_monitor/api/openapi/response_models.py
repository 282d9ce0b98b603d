"""The bodies of responses that are not records, as OpenAPI describes them."""

from typing import Any

from pydantic import BaseModel, Field


class Fault(BaseModel):
    """One fault of a request."""

    message: str
    code: str
    pointer: str | None = None
    parameter: str | None = None
    allowed: list[str] | None = None


class Problem(BaseModel):
    """An error: problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    errors: list[Fault] | None = None
    current: dict[str, Any] | None = None


class FacetValue(BaseModel):
    """A value of a field (null: the field is empty), and the number of logs that have it."""

    value: str | None
    count: int


class FacetCounts(BaseModel):
    """The most frequent values of each field. `capped` lists the fields whose counts cover the newest matches only."""

    facets: dict[str, list[FacetValue]]
    capped: list[str]


class Groups(BaseModel):
    """One group per combination of the `group_by` values; `truncated` is true if there are more groups."""

    groups: list[dict[str, str | float | None]]
    truncated: bool


class ParetoValue(BaseModel):
    """A value, and what it weighs: also as a share of all, and together with the values before it.

    A text is shown as it is spelled most often. `spellings` are all texts that count as this value.
    """

    value: str | float | bool | None
    spellings: list[str]
    weight: float
    share: float
    cumulative: float


class ParetoRest(BaseModel):
    """The values beyond `limit`: how many there are, and what they weigh together."""

    values: int
    weight: float
    share: float


class Pareto(BaseModel):
    """The values that weigh most, in order. Those that weigh nothing are left out."""

    groups: list[ParetoValue]
    rest: ParetoRest


class PastWindow(BaseModel):
    """The window of the answer: from `from` until just before `to`."""

    from_: str = Field(alias="from")
    to: str


class ReliabilityGroups(BaseModel):
    """Figures for each combination of the `group_by` values, and what each figure means; times are in seconds."""

    window: PastWindow
    definition: dict[str, str]
    groups: list[dict[str, str | float | bool | None]]
    truncated: bool
