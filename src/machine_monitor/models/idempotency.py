"""Idempotency records: the stored responses of POST requests with an `Idempotency-Key`, for replay."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME
from machine_monitor.models.fields import Schema


class IdempotencyRecord(Schema, table=True):
    """Table of stored responses by user, path and key; `digest` is the SHA-256 of the request body."""

    __tablename__ = "kept_answers"

    user: str = Field(primary_key=True, sa_type=CODE.column_type)
    path: str = Field(primary_key=True, sa_type=CODE.column_type)
    key: str = Field(primary_key=True, sa_type=CODE.column_type)
    digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=TIME.column_type, index=True)
    status: int = Field(sa_type=INTEGER.column_type)
    headers: str = Field(sa_type=TEXT.column_type)
    body: bytes = Field(sa_type=LargeBinary)


IDEMPOTENCY_RECORDS = IdempotencyRecord.metadata.tables["kept_answers"]
