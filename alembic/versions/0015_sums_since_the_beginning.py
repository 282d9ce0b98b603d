"""Delete the monthly sums of reliability: those of the new version add up all time before the start of a month.

The service makes them again in the background. Until then, figures are read from the logs. A service of the other
version refuses writes, and makes no sums.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM reliability_months")


def downgrade() -> None:
    op.execute("DELETE FROM reliability_months")
