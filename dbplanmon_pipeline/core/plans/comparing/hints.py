"""What binds the optimizer in one of two plans of SQL Server: hints of the text, of tables, and from outside."""

import re
from collections.abc import Iterator, Mapping

from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.showplan.attributes import is_true
from dbplanmon_pipeline.core.plans.tree import PlanStatement
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals

_OPTION = re.compile(r"\bOPTION\s*\((.*)$", re.IGNORECASE | re.DOTALL)
_HINTS = re.compile(
    r"\b(FORCE\s+ORDER|(?:LOOP|HASH|MERGE)\s+JOIN|(?:HASH|ORDER)\s+GROUP|(?:CONCAT|HASH|MERGE)\s+UNION|FAST|MAXDOP"
    r"|OPTIMIZE\s+FOR\s+UNKNOWN|OPTIMIZE\s+FOR|RECOMPILE|KEEPFIXED\s+PLAN|KEEP\s+PLAN|USE\s+PLAN|USE\s+HINT|QUERYTRACEON"
    r"|EXPAND\s+VIEWS|ROBUST\s+PLAN)\b",
    re.IGNORECASE,
)
_JOIN_HINT = re.compile(
    r"\b(?:INNER|LEFT|RIGHT|FULL)(?:\s+OUTER)?\s+((?:LOOP|HASH|MERGE|REMOTE)\s+JOIN)\b", re.IGNORECASE
)
_FROM_OUTSIDE = {
    "PlanGuideName": "a plan guide",
    "TemplatePlanGuideName": "a template plan guide",
    "QueryStoreStatementHintText": "a hint of Query Store",
}
_OF_TABLES = {"ForcedIndex": "INDEX", "ForceSeek": "FORCESEEK", "ForceScan": "FORCESCAN"}


def compare_hints(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Hints that bind only one of the plans; join hints in the text force the order of all joins."""
    was, now = _hints(before), _hints(after)
    for node, hint in dict.fromkeys([*was, *now]):
        if ((node, hint) in was) != ((node, hint) in now):
            left, right = (hint if (node, hint) in side else "" for side in (was, now))
            where = f"{node}: " if node else ""
            text = f"{where}now bound by {hint}" if right else f"{where}no longer bound by {hint}"
            yield PlanDifference(DifferenceKind.HINT, node, left, right, text)


def _hints(statement: PlanStatement) -> Mapping[tuple[str, str], None]:
    said = statement.attributes
    found = [("", "a forced plan")] if is_true(str(said.get("UsePlan", ""))) else []
    found += [("", words) for name, words in _FROM_OUTSIDE.items() if said.get(name)]
    text = mask_tsql_literals(statement.text) if _may_hold_hints(statement.text) else ""
    option = _OPTION.search(text)
    found += [("", f"the hint {_plain(hint)}") for hint in _HINTS.findall(option[1])] if option else []
    found += [("", f"the hint {_plain(hint)}") for hint in _JOIN_HINT.findall(text)]
    for operator in statement.operators():
        for name, hint in _OF_TABLES.items():
            if is_true(str(operator.attributes.get(name, ""))):
                found.append((operator.target, f"the hint {hint}"))
    return dict.fromkeys(found)


def _may_hold_hints(text: str) -> bool:
    upper = text.upper()
    return "OPTION" in upper or any(word in upper for word in ("LOOP JOIN", "HASH JOIN", "MERGE JOIN", "REMOTE JOIN"))


def _plain(hint: str) -> str:
    return " ".join(hint.upper().split())
