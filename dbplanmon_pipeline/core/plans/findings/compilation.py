"""How a plan came about: parameters, hints, settings, a search that was cut short."""

import re
from collections.abc import Iterator

from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.estimates import off_times
from dbplanmon_pipeline.core.plans.findings.model import POSTGRES, SQLSERVER, Found, Measure, Rule, Weight, rule
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView
from dbplanmon_pipeline.core.plans.tree import NodeKind
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals

DISABLED_COST = 1e9
"""PostgreSQL up to 17 adds ten times this to what a setting forbids."""

_MASK = "?"
_VARIABLE = re.compile(r"\[(@[\w$#]+)\](?!\.)")
_UNKNOWN = re.compile(r"\bOPTIMIZE\s+FOR\s+(?:UNKNOWN\b|\([^)]*\bUNKNOWN\b)", re.IGNORECASE)
_RECOMPILE = re.compile(r"\bOPTION\s*\([^)]*\bRECOMPILE\b", re.IGNORECASE)
_HINTS = re.compile(
    r"\b(FORCE\s+ORDER|(?:LOOP|HASH|MERGE)\s+JOIN|(?:HASH|ORDER)\s+GROUP|(?:CONCAT|HASH|MERGE)\s+UNION|FAST|MAXDOP"
    r"|KEEPFIXED\s+PLAN|KEEP\s+PLAN|USE\s+PLAN|USE\s+HINT|QUERYTRACEON|EXPAND\s+VIEWS|ROBUST\s+PLAN)(?=[\s,()]|$)",
    re.IGNORECASE,
)
_OPTION = re.compile(r"\bOPTION\s*\((.*)$", re.IGNORECASE | re.DOTALL)
_PREDICATES = ("Seek Predicate", "Predicate", "Filter", "Top Expression")


@rule(
    "parameter-sniffing",
    "Compiled for another value than it ran with",
    "Compare the plans of both values. If they should differ: OPTION (RECOMPILE) for a rare statement, OPTIMIZE FOR a "
    "typical value, or parameter-sensitive plans (2022, level 160); if not, force the good plan.",
    SQLSERVER,
)
def parameter_sniffing(view: StatementView) -> Iterator[Found]:
    """Parameters whose compiled and actual values differ, where the estimates show it."""
    names = [
        one.name
        for one in view.statement.parameters
        if one.compiled_value
        and one.runtime_value
        and _MASK not in (one.compiled_value, one.runtime_value)
        and one.compiled_value != one.runtime_value
    ]
    off = max((off_times(node) for node in view.nodes), default=1.0)
    if names and view.matters and off >= 10.0:
        text = (
            f"the plan was compiled for another value of {', '.join(names)} than it ran with, and an estimate is off "
            f"{figure(off)} times"
        )
        measures = (Measure("estimate_off", off, "times"),)
        yield Found(text, share=1.0, measures=measures, subject=" ".join(names), weight=Weight.HIGH)


@rule(
    "local-variables",
    "Local variables in a condition",
    "Use parameters (sp_executesql), or OPTION (RECOMPILE): the value of a variable is unknown when the plan is made.",
    SQLSERVER,
)
def local_variables(view: StatementView) -> Iterator[Found]:
    """Conditions on variables are estimated by averages."""
    known = {one.name for one in view.statement.parameters}
    # Without a list of parameters nobody can tell them from variables.
    if not known or not view.matters or _RECOMPILE.search(_masked(view)):
        return
    conditions = (node.condition(*_PREDICATES) for node in view.nodes)
    used = dict.fromkeys(
        name
        for condition in conditions
        if "[@" in condition
        for name in _VARIABLE.findall(mask_tsql_literals(condition))
        if name not in known
    )
    if used:
        names = ", ".join(list(used)[:4])
        verb = "are" if len(used) > 1 else "is"
        text = f"{names} in its conditions {verb} no parameter, so the estimate is that of an average value"
        yield Found(text, share=0.3, subject=" ".join(used), weight=Weight.LOW)


@rule(
    "optimize-for-unknown",
    "Optimised for an average value",
    "Check whether the values really behave alike; for skewed ones OPTION (RECOMPILE) or OPTIMIZE FOR a typical value "
    "is better.",
    SQLSERVER,
)
def optimize_for_unknown(view: StatementView) -> Iterator[Found]:
    """The hint makes the optimizer ignore the values it is given."""
    if view.matters and _UNKNOWN.search(_masked(view)):
        yield Found("the hint OPTIMIZE FOR UNKNOWN makes every value an average one", share=0.3, weight=Weight.LOW)


@rule(
    "old-cardinality-estimator",
    "Estimated by the old rules",
    "Compare the plan with OPTION (USE HINT ('FORCE_DEFAULT_CARDINALITY_ESTIMATION')) before raising the compatibility "
    "level or LEGACY_CARDINALITY_ESTIMATION for all.",
    SQLSERVER,
)
def old_cardinality_estimator(view: StatementView) -> Iterator[Found]:
    """The estimator of 2012 on a server that has a newer one."""
    version = view.figure("CardinalityEstimationModelVersion")
    major = view.build.partition(".")[0]
    if view.matters and version == 70.0 and major.isdigit() and int(major) >= 12:
        text = "the estimates follow the rules of SQL Server 7.0 to 2012, though this server has newer ones"
        yield Found(text, share=0.2, measures=(Measure("version", version, "version"),), weight=Weight.LOW)


@rule(
    "optimizer-gave-up",
    "Optimizer stopped before it was done",
    "Make the statement simpler: fewer joins per step, a temporary table in between, fewer nested views.",
    SQLSERVER,
)
def optimizer_gave_up(view: StatementView) -> Iterator[Found]:
    """The best plan so far was taken for lack of time or memory."""
    reason = str(view.statement.attributes.get("StatementOptmEarlyAbortReason", ""))
    words = {"TimeOut": "it had tried as many plans as it allows itself", "MemoryLimitExceeded": "it ran out of memory"}
    if reason == "MemoryLimitExceeded" or (view.matters and reason in words):
        spent = view.figure("CompileTime")
        measures = (Measure("compile_time", spent, "ms"),) if spent is not None else ()
        weight = Weight.MEDIUM if reason == "MemoryLimitExceeded" else Weight.LOW
        text = f"the optimizer took the best plan so far, because {words[reason]}"
        yield Found(text, share=0.3, measures=measures, subject=reason, weight=weight)


@rule(
    "hinted-plan",
    "Plan bound by hints",
    "Check that the reason for the hint still holds: run it without, on a copy, and compare.",
    SQLSERVER,
)
def hinted_plan(view: StatementView) -> Iterator[Found]:
    """Forced plans, plan guides, hints of Query Store and of the statement."""
    if not view.matters:
        return
    said = view.statement.attributes
    told = ["a forced plan"] if said.get("UsePlan") in ("1", "true") else []
    told += ["a plan guide"] if said.get("PlanGuideName") or said.get("TemplatePlanGuideName") else []
    told += ["a hint of Query Store"] if said.get("QueryStoreStatementHintText") else []
    option = _OPTION.search(_masked(view))
    told += [" ".join(hint.upper().split()) for hint in _HINTS.findall(option[1])] if option else []
    if told:
        words = ", ".join(dict.fromkeys(told))
        yield Found(f"the plan is bound by {words}", share=0.3, subject=words, weight=Weight.LOW)


def _masked(view: StatementView) -> str:
    """The text without its values, which may look like hints; empty where it has no hints."""
    text = view.statement.text
    return mask_tsql_literals(text) if "OPTION" in text.upper() else ""


@rule(
    "forced-access",
    "Index or way of reading forced by a hint",
    "Read the table without the hint on a copy and compare; the index may have been the best one years ago.",
    SQLSERVER,
)
def forced_access(view: StatementView) -> Iterator[Found]:
    """INDEX, FORCESEEK and FORCESCAN of single tables."""
    if not view.matters:
        return
    names = {"ForcedIndex": "INDEX", "ForceSeek": "FORCESEEK", "ForceScan": "FORCESCAN"}
    for node in view.nodes:
        told = [name for attribute, name in names.items() if node.flag(attribute)]
        if told and node.operator.kind != NodeKind.LOOKUP:
            text = f"{node.words} is read as the hint {' and '.join(told)} demands"
            yield Found(text, node, node.share, weight=Weight.LOW)


@rule(
    "disabled-operator",
    "Way of reading or joining that is switched off",
    "Put the setting back (enable_* belongs into experiments): the plan goes around what is forbidden, or must use it.",
    POSTGRES,
)
def disabled_operator(view: StatementView) -> Iterator[Found]:
    """Settings enable_* that are off."""
    settings = view.statement.attributes.get("Settings")
    off = (
        sorted(name for name, value in settings.items() if name.startswith("enable_") and value == "off")
        if isinstance(settings, dict)
        else []
    )
    forced = next((node for node in view.nodes if node.flag("Disabled") or _is_fined(view, node)), None)
    if off or forced:
        by = f"{', '.join(off)} {'are' if len(off) > 1 else 'is'} off" if off else "a setting enable_* is off"
        where = f"; {forced.words} is used all the same" if forced else ""
        weight = Weight.HIGH if forced and view.matters else Weight.LOW
        yield Found(f"{by}{where}", forced, forced.share if forced else 0.3, subject=" ".join(off), weight=weight)


def _is_fined(view: StatementView, node: Node) -> bool:
    """Whether the operator itself adds what is asked for the forbidden; a statement may as well be as dear as that."""
    inputs = sum(child.operator.estimated_cost or 0.0 for child in view.inputs(node))
    return (node.operator.startup_cost or 0.0) - inputs >= DISABLED_COST


RULES: tuple[Rule, ...] = (
    parameter_sniffing,
    local_variables,
    optimize_for_unknown,
    old_cardinality_estimator,
    optimizer_gave_up,
    hinted_plan,
    forced_access,
    disabled_operator,
)
