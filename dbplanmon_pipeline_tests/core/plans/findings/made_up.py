"""Small plans written here, and what the rules find in them."""

from dbplanmon_pipeline.core.plans.findings.registry import findings_of
from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline_tests.core.plans.showplans import element, relop, showplan, statement, table


def findings(plan, context=None):
    """Findings of the text of a showplan, or of a PostgreSQL plan as a document."""
    tree = parse_showplan(plan) if isinstance(plan, str) else parse_pg_plan(plan)
    return findings_of(tree, context or {})


def named(slug, plan, context=None):
    return [finding for finding in findings(plan, context) if finding.rule == slug]


def ran(*rows, read=None, executions=1):
    """Measured figures of the threads of an operator; thread 0 only coordinates where there are several."""
    threads = [(0, rows[0])] if len(rows) == 1 else [(0, 0), *enumerate(rows, 1)]
    share = {} if read is None else {"ActualRowsRead": read / len(rows)}
    counters = [
        element("RunTimeCountersPerThread", Thread=thread, ActualRows=count, ActualExecutions=executions, **share)
        for thread, count in threads
    ]
    return element("RunTimeInformation", *counters)


def predicate(text):
    return element("Predicate", element("ScalarOperator", ScalarString=text))


def scan(name="Orders", text="", physical="Clustered Index Scan", **said):
    """A read of a whole table; further arguments as those of `relop`."""
    return relop(physical, table(name), predicate(text) if text else "", **said)


def loops(outer, inner, *, beside="", **said):
    return relop("Nested Loops", outer, inner, detail="NestedLoops", logical="Inner Join", beside=beside, **said)


def select(*parts, cost=100.0, **said):
    """A showplan of one statement of that cost."""
    return showplan(statement(*parts, StatementSubTreeCost=cost, **said))


def pg(name, *inputs, cost=10_000.0, rows=1.0, actual=None, times=1, ms=1.0, role="Outer", **said):
    """A plan node; `said` are further attributes with underscores for blanks."""
    node = {"Node Type": name, "Parent Relationship": role, "Total Cost": cost, "Startup Cost": 0.0, "Plan Rows": rows}
    if actual is not None:
        node |= {"Actual Rows": actual, "Actual Loops": times, "Actual Total Time": ms}
    node |= {key.replace("_", " "): value for key, value in said.items()}
    return node | ({"Plans": list(inputs)} if inputs else {})


def explained(root, **said):
    """A PostgreSQL plan of one statement; `said` are attributes of the statement."""
    return [{"Plan": root, **{key.replace("_", " "): value for key, value in said.items()}}]
