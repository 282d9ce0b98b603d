"""Two-sided bounds of time: a clock that jumps ahead and back again lets nobody in and locks nobody out.

What is dated in the future is void. What has run out is removed only for a while after its end: if it seems to have run
out long ago, the clock may be wrong, and it may still be needed when the clock is right again.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapped

# The clocks of several servers on one database may differ by this much.
CLOCK_TOLERANCE = timedelta(minutes=5)
REMOVAL_PERIOD = timedelta(days=30)


def latest_start(now: datetime) -> datetime:
    """Return the latest time at which anything that is valid now can have begun."""
    return now + CLOCK_TOLERANCE


def is_removable(ended_at: Mapped[datetime], now: datetime) -> ColumnElement[bool]:
    """Return the condition for rows that ended recently enough to be removed."""
    return ended_at.between(now - REMOVAL_PERIOD, now)
