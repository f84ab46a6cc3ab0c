import json

import pytest

from dbplanmon_pipeline.core.plans.postgres.parsing import parse_pg_plan
from dbplanmon_pipeline.core.plans.postgres.redact import redact_pg_plan
from dbplanmon_pipeline.core.plans.postgres.text import plan_document
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline_tests.core.plans.corpus import entries, text_of

NODE = {
    "Node Type": "Index Scan",
    "Relation Name": "orders",
    "Alias": "o",
    "Index Name": "orders_1",
    "Index Cond": "(id = 5)",
    "Output": ["id", "'secret'::text"],
    "Grouping Sets": [{"Group Keys": [["a", "(b + 7)"]]}],
    "Foreign File": "/srv/secret.csv",
    "Some New Attribute": "secret",
    "Some New List": ["secret"],
    "Some New Object": {"Detail": "secret", "Count": 3},
    "Plan Rows": 12,
    "Parallel Aware": False,
}
DOCUMENT = [{"Plan": NODE, "Query Text": "select 'secret'", "Settings": {"work_mem": "64kB", "app.user": "secret"}}]


def test_unknown_text_attributes_are_masked_whole():
    node = redact_pg_plan(DOCUMENT)[0]["Plan"]
    assert node["Some New Attribute"] == node["Foreign File"] == "?"
    assert node["Some New List"] == ["?"]
    assert node["Some New Object"] == {"Detail": "?", "Count": 3}


def test_names_figures_and_planner_settings_stay():
    redacted = redact_pg_plan(DOCUMENT)[0]
    node = redacted["Plan"]
    assert [node[name] for name in ("Relation Name", "Alias", "Index Name", "Plan Rows", "Parallel Aware")] == [
        "orders",
        "o",
        "orders_1",
        12,
        False,
    ]
    assert redacted["Settings"] == {"work_mem": "64kB", "app.user": "?"}


def test_expressions_inside_lists_are_masked_token_by_token():
    node = redact_pg_plan(DOCUMENT)[0]["Plan"]
    assert node["Output"] == ["id", "?::text"]
    assert node["Grouping Sets"] == [{"Group Keys": [["a", "(b + ?)"]]}]


@pytest.mark.parametrize("rest", ["'", "E'x", '"', "$$", "$tag$ x", "/* x", "-- x\n'"])
def test_an_expression_that_stays_open_is_masked_whole(rest):
    node = {"Node Type": "Seq Scan", "Filter": f"(('a'::text || secret = b){rest}", "Recheck Cond": "(secret = b)"}
    redacted = redact_pg_plan([{"Plan": node, "Query Text": f"select 'x'{rest}"}])[0]
    assert redacted["Plan"]["Filter"] == "?"
    assert redacted["Plan"]["Recheck Cond"] == "(secret = b)"
    assert redacted["Query Text"].startswith("select ?")


@pytest.mark.parametrize("whole", ["(a = 'x')", "'x'::text", "'x'", '"A b"', "12", "$1", "a -- x", "$$x$$", "/* x */"])
def test_an_expression_that_is_whole_is_masked_token_by_token(whole):
    masked = redact_pg_plan([{"Plan": {"Node Type": "Seq Scan", "Filter": f"b || {whole}"}}])[0]
    assert masked["Plan"]["Filter"].startswith("b || ")


def test_nothing_secret_is_left_and_the_source_is_untouched():
    before = json.dumps(DOCUMENT)
    assert "secret" not in json.dumps(redact_pg_plan(DOCUMENT))
    assert json.dumps(DOCUMENT) == before


def test_a_text_is_read_first_and_refused_when_it_is_no_plan():
    assert redact_pg_plan(json.dumps(DOCUMENT)) == redact_pg_plan(DOCUMENT)
    with pytest.raises(PlanParseError):
        redact_pg_plan("secret")


def test_values_json_does_not_know_are_masked():
    assert redact_pg_plan({"Node Type": "Limit", "Filter": b"secret"})["Filter"] == "?"


@pytest.mark.parametrize("entry", entries())
def test_real_plans_keep_their_operators_and_lose_every_quoted_literal(entry):
    document = plan_document(text_of(entry))
    redacted = redact_pg_plan(document)
    assert parse_pg_plan(redacted).counts == parse_pg_plan(document).counts
    for operator in parse_pg_plan(redacted).operators():
        for _name, expression in operator.conditions:
            assert "'" not in expression


def test_redaction_is_stable_when_repeated():
    once = redact_pg_plan(DOCUMENT)
    assert redact_pg_plan(once) == once
