"""What the rules find in the real plans that lie beside the checkout."""

from collections import Counter
from functools import cache

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.registry import findings_of
from dbplanmon_pipeline.core.plans.stored import parse_plan
from dbplanmon_pipeline_tests.core.plans import corpus, showplans

EVERY_PLAN = [
    *((showplans.text_of, found.values[0]) for found in showplans.entries() if found.values[0]),
    *((corpus.text_of, found.values[0]) for found in corpus.entries() if found.values[0]),
]
"""How to read a file, and its entry in the manifest; empty where the corpus is absent."""


@cache
def plans():
    """(file, plan) of each real plan."""
    return [(entry["file"], parse_plan(read(entry))) for read, entry in EVERY_PLAN]


def rules_in(part):
    """Rules that speak in the one real plan whose file name holds `part`."""
    (plan,) = [plan for name, plan in plans() if part in name]
    return {finding.rule for finding in findings_of(plan)}


def figures():
    """Plans by rule; and by engine how many plans there are and how many have findings."""
    counts, told = Counter(), dict.fromkeys((Engine.SQLSERVER, Engine.POSTGRES), (0, 0))
    for _, plan in plans():
        found = {finding.rule for finding in findings_of(plan)}
        counts.update(found)
        every, some = told[plan.engine]
        told[plan.engine] = (every + 1, some + bool(found))
    return counts, told
