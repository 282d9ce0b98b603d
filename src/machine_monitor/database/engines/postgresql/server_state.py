"""The state of a PostgreSQL server, in sentences: primary or standby, and how safe its commits are."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import ColumnElement, case, func, literal_column

# The settings of `synchronous_commit` below `on`, and what a commit does not wait for.
UNSAFE_COMMITS = {
    "off": "until it is on the disk of the server. A crash can lose writes that were answered",
    "local": "for the standby. A failover can lose writes that were answered",
    "remote_write": "for the disk of the standby. If both servers fail, writes that were answered can be lost",
}
STANDBY = (
    "MM_DATABASE_URL leads to {}. It can only be read. Name the primary; if the URL names several servers, add "
    "`target_session_attrs=read-write`."
)
# A standby that receives nothing falls behind, even if it has applied all that it has received. One that has just
# started has applied more than it has received since.
SECONDS_BEHIND = (
    "CASE WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) "
    "THEN 0 ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END"
)


class ServerState(NamedTuple):
    """Whether the server is a standby, how many seconds its data are behind, and `synchronous_commit`."""

    is_standby: bool
    seconds_behind: float | None
    synchronous_commit: str

    @classmethod
    def columns(cls) -> list[ColumnElement]:
        """Return the columns of a query that give the state."""
        is_standby = func.pg_is_in_recovery()
        return [
            is_standby,
            case((is_standby, literal_column(SECONDS_BEHIND))),
            func.current_setting(literal_column("'synchronous_commit'")),
        ]

    @classmethod
    def from_row(cls, values: Sequence[Any]) -> Self:
        """Return the state from the values of `columns`."""
        is_standby, behind, commit = values
        return cls(is_standby, None if behind is None else float(behind), commit)

    @property
    def role(self) -> str:
        """The role of the server, in words."""
        if not self.is_standby:
            return "the primary"
        if self.seconds_behind is None:
            return "a standby that has received nothing from a primary since its start"
        return f"a standby, {self.seconds_behind:.1f} s behind the primary"

    @property
    def faults(self) -> list[str]:
        """The reasons not to write to this server, one sentence each."""
        found = [STANDBY.format(self.role)] if self.is_standby else []
        if self.synchronous_commit in UNSAFE_COMMITS:
            missing = UNSAFE_COMMITS[self.synchronous_commit]
            found.append(
                f"The server's synchronous_commit is {self.synchronous_commit}: a commit does not wait {missing}. "
                "Set it to on."
            )
        return found
