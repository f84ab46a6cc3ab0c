"""What every table of the store is made of."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

LOG_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up by itself in an INTEGER only."""


def required(name: str, kind: Any) -> Column[Any]:
    """A column that is never NULL."""
    return Column(name, kind, nullable=False)


def key(name: str, kind: Any) -> Column[Any]:
    """A part of the primary key, its value given by us."""
    return Column(name, kind, primary_key=True, autoincrement=False)
