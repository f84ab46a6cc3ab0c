"""Failed executions of a database by hour, so that the analysis sees when some of them came late."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = ("aborted_count", "exception_count")


def upgrade() -> None:
    """Add the sums; of hours from before they are unknown."""
    for name in COLUMNS:
        op.add_column("database_hour", sa.Column(name, sa.Float(), nullable=True))


def downgrade() -> None:
    """Remove them; the rows keep their own."""
    for name in COLUMNS:
        op.drop_column("database_hour", name)
