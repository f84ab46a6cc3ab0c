"""Plans as they lie in files and in the store, whichever engine wrote them."""

import re

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.partitions import gathered
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.text import is_showplan
from dbplanmon_pipeline.core.plans.tree import Plan
from dbplanmon_pipeline.errors import PlanParseError

_OF_POSTGRES = re.compile(r"<explain[\s>]|\bQUERY PLAN\b|Node Type|\(cost=\d")
_PARSERS = {"pgjson": parse_pg_plan, "showplan": parse_showplan}


def parse_plan(text: str) -> Plan:
    """The plan in a text: EXPLAIN in any of its forms, or a showplan, told apart by what the text holds.

    Raises:
        PlanParseError: it is neither; one line.
    """
    if is_showplan(text) and '"Node Type"' not in text:
        return parse_showplan(text)
    is_markup = text.lstrip("\ufeff \t\r\n").startswith("<")
    return parse_showplan(text) if is_markup and not _OF_POSTGRES.search(text) else parse_pg_plan(text)


def tree_of(plan: CapturedPlan) -> Plan | None:
    """The tree of a captured plan; None where there is none or its body cannot be read."""
    parse = _PARSERS.get(plan.format)
    try:
        return parse(plan.body) if parse else None
    except PlanParseError:
        return None


def shown_tree_of(plan: CapturedPlan) -> Plan | None:
    """The same as people want to see it: with one operator for all partitions of a table that are read alike."""
    tree = tree_of(plan)
    return gathered(tree) if tree else None
