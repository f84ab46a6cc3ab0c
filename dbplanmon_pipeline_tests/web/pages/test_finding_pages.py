"""What stands out in plans, on the pages of incidents and plans, and the page that explains each finding."""

import json
from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, StatementText
from dbplanmon_pipeline.core.plans.findings.registry import RULES
from dbplanmon_pipeline.web.pages.finding import sections_of
from dbplanmon_pipeline_tests.core.plans.findings.made_up import explained, pg
from dbplanmon_pipeline_tests.store.samples import collected

HEADINGS = ["What it means", "Why it costs", "How to check", "What to do", "When to ignore it"]
SEEK = pg("Index Scan", Relation_Name="orders", Index_Cond="(state = $1)", cost=8.0)
SCAN = pg("Seq Scan", Relation_Name="orders", Filter="(state = $1)", cost=90_000.0)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_each_finding_has_a_page_with_all_its_parts(rule):
    parts = sections_of(rule)
    assert [part.heading for part in parts] == HEADINGS
    assert all(part.parts for part in parts)
    assert sum(one.is_code for part in parts for one in part.parts) == 1


def test_without_its_page_a_finding_still_has_its_advice():
    (part,) = sections_of(replace(RULES[0], slug="not-installed"))
    assert part.parts[0].text == RULES[0].advice


def test_the_page_of_a_finding_is_served_and_links_to_its_neighbours(site):
    shown = site.get("/findings/memory-grant-wait")
    assert shown.status_code == 200
    assert '<a href="memory-grant-too-large">' in shown.text
    assert "sys.dm_exec_query_memory_grants" in shown.text
    assert site.get("/findings/nothing-like-this").status_code == 404


def keep_plans(site, **plans):
    """Plans of one statement by hash in letters."""
    bodies = {int(name, 16): json.dumps(explained(root)) for name, root in plans.items()}
    stored = [CapturedPlan(77, plan_hash, "pgjson", body, "generic") for plan_hash, body in bodies.items()]
    ref = DatabaseRef("fleet", "found")
    site.store.record([collected(ref, site.clock(), [77], plans=stored, texts=[StatementText(77, "SELECT 1")])])


def test_the_page_of_a_plan_tells_what_is_wrong_with_it_only(own_site):
    keep_plans(own_site, a1=SEEK, a2=SCAN)
    alone = own_site.get("/plans/00000000000000a2").text
    assert "What stands out" in alone
    assert "Wrong with the new plan" not in alone
    beside = own_site.get("/plans/00000000000000a2?before=00000000000000a1").text
    assert "Wrong with the new plan" in beside
    assert 'href="/findings/scan-filters-most-rows"' in beside
    assert "Seq Scan on orders reads the whole table (cost 90,000)" in beside
    assert "stands out" not in own_site.get("/plans/00000000000000a1").text


def test_names_in_findings_do_no_harm(own_site):
    keep_plans(own_site, a3={**SCAN, "Relation Name": "<script>alert(1)</script>"})
    shown = own_site.get("/plans/00000000000000a3").text
    assert "What stands out" in shown
    assert "<script>alert" not in shown


@pytest.mark.browser
def test_the_page_of_a_finding_can_be_read_and_its_sql_copied(open_page, site):
    page = open_page(site, "/findings/key-lookup")
    assert page.locator("h1").inner_text() == "Key lookup for many rows"
    assert page.locator("h2").all_inner_texts() == HEADINGS
    assert page.locator("pre").count() == 1
