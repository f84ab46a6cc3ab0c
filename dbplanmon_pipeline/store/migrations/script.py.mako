"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """${upgrades or "Say what this adds."}"""


def downgrade() -> None:
    """${downgrades or "Say what this takes away."}"""
