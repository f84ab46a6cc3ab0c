"""Expressions of showplans, short enough for a person and equal where they mean the same."""

import re

from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals

_NAME = r"\[(?:[^\]]|\]\])+\]"
_RENAMED = re.compile(rf"(?:{_NAME}\.)+{_NAME} as (?={_NAME})")
_PATH = re.compile(rf"(?:{_NAME}\.)+(?={_NAME}\.{_NAME})")
_PLAIN = re.compile(r"\[([^\W\d]\w*|@\w+)\]")
_NUMBERED = re.compile(r"\b(Expr|Union|Bmk|Chk|Bitmap|Const|Col|Act|Seg|PtnId|IsBaseRow|RangePartition)\d{4,}\b")


def short_expression(expression: str) -> str:
    """`o.Id=@p1` for `[Shop].[dbo].[Orders].[Id] as [o].[Id]=[@p1]`."""
    return _PLAIN.sub(r"\1", _PATH.sub("", _RENAMED.sub("", expression)))


def comparable_expression(expression: str) -> str:
    """The short expression without values and without the numbers the optimizer gives to what it computes."""
    return _NUMBERED.sub(r"\1", short_expression(mask_tsql_literals(expression)))
