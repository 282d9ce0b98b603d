"""Kept answers: what a POST with an `Idempotency-Key` was answered, so that it may be sent again."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT, TIME
from machine_monitor.models.fields import Schema


class KeptAnswer(Schema, table=True):
    """The table of answers, by who asked, where, and the key; `digest` is the SHA-256 of the request's body."""

    __tablename__ = "kept_answers"

    user: str = Field(primary_key=True, sa_type=CODE.column_type)
    path: str = Field(primary_key=True, sa_type=CODE.column_type)
    key: str = Field(primary_key=True, sa_type=CODE.column_type)
    digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=TIME.column_type, index=True)
    status: int = Field(sa_type=INTEGER.column_type)
    headers: str = Field(sa_type=TEXT.column_type)
    body: bytes = Field(sa_type=LargeBinary)


KEPT_ANSWERS = KeptAnswer.metadata.tables["kept_answers"]
