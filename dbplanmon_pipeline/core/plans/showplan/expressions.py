"""Expressions of showplans, short enough for a person and equal where they mean the same."""

import re

from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals

# Each bracket begins at most one match, so that the time is linear whatever stands in the text.
_NAME = r"\[(?:[^\]]|\]\])++(?:\]|\Z)"
_PATH = re.compile(rf"{_NAME}(?:\.{_NAME})*+(?P<renamed>(?<=\])\ as\ (?=\[))?")
_PART = re.compile(_NAME)
_PLAIN = re.compile(r"\[([^\W\d]\w*|@\w+)\]")
_BITMAP = re.compile(r"(?:\A|(?<= AND ))PROBE\((?:Opt_)?Bitmap\d+(?:,[^()]*+)?\)(?: AND |\Z)")
_NUMBERED = re.compile(
    r"\b(Expr|ConstExpr|Union|Bmk|Chk|Bitmap|Opt_Bitmap|Const|Col|Act|Seg|PtnId|IsBaseRow|RangePartition|Recr|Uniq|"
    r"TrgPrb|SrcPrb|partialagg|globalagg)\d{4,}\b"
)


def short_expression(expression: str) -> str:
    """`o.Id=@p1` for `[Shop].[dbo].[Orders].[Id] as [o].[Id]=[@p1]`."""
    return _PATH.sub(_short_path, expression) if "[" in expression else expression


def _short_path(found: re.Match[str]) -> str:
    """The last two names of a path, without brackets where they can do without; nothing where it gets an alias."""
    path, renamed = found.group(0, "renamed")
    names = _PART.findall(path)
    if renamed:
        return "" if len(names) > 1 else f"{_PLAIN.sub(_WITHOUT, names[0])}{renamed}"
    return _PLAIN.sub(_WITHOUT, ".".join(names[-2:]))


_WITHOUT = r"\1"


def comparable_expression(expression: str) -> str:
    """The short expression without values and without the numbers the optimizer gives to what it computes.

    The bitmap of a hash join that rows are tested with early is no condition of the statement, and goes.
    """
    short = short_expression(mask_tsql_literals(expression))
    if "PROBE(" in short:
        short = _BITMAP.sub("", short).removesuffix(" AND ")
    return _NUMBERED.sub(r"\1", short)
