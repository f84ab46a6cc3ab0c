"""Two parsers that know T-SQL and nothing of each other."""

import logging
from functools import cache

import sqlglot
from sqlfluff.core import FluffConfig, Linter
from sqlglot import exp

_EVERY_PARAMETER = "@p"


@cache
def _linter() -> Linter:
    return Linter(config=FluffConfig(overrides={"dialect": "tsql"}))


def unparsable(text: str) -> list[str]:
    """Parts of a text that sqlfluff cannot read; it takes no `?`, so each becomes a variable."""
    tree = _linter().parse_string(text.replace("?", _EVERY_PARAMETER)).tree
    return ["all of it"] if tree is None else [part.raw for part in tree.recursive_crawl("unparsable")]


def parsed(text: str) -> list[exp.Expression]:
    """The statements of a text as sqlglot reads them.

    Raises:
        sqlglot.ParseError: it cannot.
    """
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return [one for one in sqlglot.parse(text, read="tsql") if one is not None]
