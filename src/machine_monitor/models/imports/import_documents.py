"""What the API shows of one import: its preview before it is applied, its report after, and what was undone."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from machine_monitor.models.imports.file_import import FileImportRead


class Outcomes(BaseModel):
    """The number of records by outcome. A record is in `conflict` if it was edited here and its row has changed."""

    created: int
    updated: int
    unchanged: int
    conflict: int
    rejected: int


class ProblemGroup(BaseModel):
    """Problems of rows that are alike. `error`: the rows are not imported; `note`: something was adjusted."""

    file: str = Field(description="The file, with the first row.")
    field: str | None
    code: str
    level: Literal["error", "note"]
    value: str | None
    count: int
    rows: list[int] = Field(description="The first three rows.")
    files: list[str] | None = Field(None, description="The first three files, in place of rows: of the legacy tool.")
    message: str


class FieldCounts(BaseModel):
    """In how many rows a field is filled, empty, or cannot be read."""

    filled: int
    empty: int
    refused: int


class ValueCount(BaseModel):
    """A value of a field, in how many rows it is, and the values that are spelled nearly alike."""

    value: str
    count: int
    near: list[str] | None = None


class DateEvidence(BaseModel):
    """How many cells are dates, and how many of them decide between day and month."""

    cells: int
    deciding: int
    warning: str | None = None


class ImportPreview(BaseModel):
    """What an import would do. `more_problems` is the number of further groups of problems."""

    records: list[dict[str, Any]] = Field(description="The first ten records.")
    counts: dict[str, Outcomes] = Field(description="By resource.")
    skipped: int
    problems: list[ProblemGroup]
    more_problems: int
    fields: dict[str, FieldCounts]
    values: dict[str, list[ValueCount]] = Field(description="The most frequent machines, types and users.")
    dates: dict[str, DateEvidence]
    span: list[str] | None = Field(None, description="The earliest and the latest start.")


class SampleValue(BaseModel):
    """A value of a column, and in how many of the first rows it is."""

    value: str
    count: int


class SampleColumn(BaseModel):
    """A column, by the name that a mapping uses. `values` are the most frequent of the first 2,000 rows."""

    name: str
    values: list[SampleValue]
    is_complete: bool = Field(description="Whether the table has no other values in this column.")


class ImportSample(BaseModel):
    """What the table looks like: its first ten rows, and its columns."""

    rows: list[list[str | None]]
    columns: list[SampleColumn]


class ImportReport(BaseModel):
    """What an import has done: counts by resource, and problems."""

    machines: Outcomes
    logs: Outcomes
    users: Outcomes
    log_types: Outcomes
    ignored: int
    skipped: int
    problems: list[ProblemGroup]
    more_problems: int


class UndoReport(BaseModel):
    """What was undone. `kept` are records that others have changed since, or that may be named by now."""

    deleted: int
    reverted: int
    kept: int
    stay: dict[str, list[str]] = Field(description="The machines, types and users that the import has made.")


class ImportProblem(BaseModel):
    """Why the last preview or import failed."""

    code: str
    detail: str
    errors: list[dict[str, Any]]


class ImportDetail(FileImportRead):
    """An import. What is not known yet is null."""

    columns: list[str] | None = Field(description="The names of the columns.")
    read: dict[str, Any] | None = Field(
        description="How the file was read: format, encoding, delimiter, header; of the legacy tool, format and zone."
    )
    sample: ImportSample | None
    mapping: dict[str, Any] | None = Field(description="The mapping; null for a table with columns of this product.")
    preview: ImportPreview | None
    report: ImportReport | None
    undone: UndoReport | None
    problem: ImportProblem | None


class ImportProgress(BaseModel):
    """How far an import is, in rows."""

    id: str
    state: str
    done: int
    total: int
