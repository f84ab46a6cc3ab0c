"""Expressions of PostgreSQL plans, equal where they mean the same."""

import re

from dbplanmon_pipeline.core.statements.postgres import MASK, mask_postgres_literals

_PARAMETER = re.compile(r"\$\d+(?!\w)")


def comparable_pg_expression(expression: str) -> str:
    """The expression without values; a parameter of a generic plan stands where a custom plan has its value."""
    return _PARAMETER.sub(MASK, mask_postgres_literals(expression))


def has_parameters(expression: str) -> bool:
    """True where a value of the statement is left open, as in generic plans."""
    return bool(_PARAMETER.search(expression))
