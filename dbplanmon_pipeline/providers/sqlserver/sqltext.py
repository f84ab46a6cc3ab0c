"""Our T-SQL statements, one per file in `sql/`."""

import re
from functools import cache
from importlib.resources import files

MARKER = "/* dbplanmon */"
"""In every statement of ours, so that they can be left out of what we read."""

_FIRST_WORD = re.compile(r"^SELECT\b", re.MULTILINE)

MOST_PARAMETERS = 2000
"""SQL Server takes 2,100 parameters in one statement; some are left for the rest of it."""

_LIST_PLACE = "{ids}"


@cache
def statement(name: str) -> str:
    """The whole text of `sql/<name>.sql`, its heading included, with the mark once more behind the first word.

    Query Store cuts off the comments before a statement and keeps those within it; the plan cache keeps both.
    """
    folder = files("dbplanmon_pipeline.providers.sqlserver").joinpath("sql")
    text = folder.joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return _FIRST_WORD.sub(f"SELECT {MARKER}", text, count=1)


@cache
def statement_in(name: str, count: int) -> str:
    """The statement with its one list of values, `{ids}`, made `count` parameters wide.

    Args:
        name: of the file, without its ending.
        count: how many values will be bound there, 1 to `MOST_PARAMETERS`.

    Raises:
        ValueError: another count, or a statement without exactly one such list.
    """
    text = statement(name)
    if not 1 <= count <= MOST_PARAMETERS:
        raise ValueError(f"{count} values in one list; 1 to {MOST_PARAMETERS} are possible")
    if text.count(_LIST_PLACE) != 1:
        raise ValueError(f"{name} has no single place for a list of values")
    return text.replace(_LIST_PLACE, ", ".join("?" * count))
