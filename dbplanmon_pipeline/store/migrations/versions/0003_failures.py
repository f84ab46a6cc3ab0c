"""How often a statement fails, as part of its incident."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the figures; incidents from before have none."""
    op.add_column("incident", sa.Column("failures", sa.Text(), nullable=True))


def downgrade() -> None:
    """Remove them; what they said stays in the evidence."""
    op.drop_column("incident", "failures")
