"""Dashboard and alert rules: every figure they ask for is exposed, with the labels they use, and PromQL parses."""

import json
import re
from typing import Any

import promql_parser
import pytest
import yaml

from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.web.metrics.names import METRICS
from dbplanmon_pipeline_tests.deploy.programs import DEPLOY, ROOT

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "dbplanmon.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "dbplanmon.rules.yml").read_text("utf-8"))[
    "groups"
][0]["rules"]
SCRAPE: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "scrape.yml").read_text("utf-8"))

LABELS = {
    **{metric.full_name: set(metric.labels) for metric in METRICS if metric.kind != "histogram"},
    **{
        f"{metric.full_name}_{part}": {*metric.labels, *(["le"] if part == "bucket" else [])}
        for metric in METRICS
        if metric.kind == "histogram"
        for part in ("bucket", "sum", "count")
    },
}
QUERIES = [
    *((f"panel {panel['title']}", target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]),
    *((rule["alert"], rule["expr"]) for rule in RULES),
]


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Name and labels of every series a query reads."""
    found = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, {matcher.name for matcher in node.matchers.matchers}))
            return
        for part in ("expr", "lhs", "rhs", "param"):
            if (child := getattr(node, part, None)) is not None:
                visit(child)
        for child in getattr(node, "args", None) or ():
            visit(child)

    visit(promql_parser.parse(query.replace("$instance", ".*")))
    return found


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_queries_ask_for_what_is_exposed(where, query):
    read = selectors(query)
    assert read, "nothing is read"
    for name, labels in read:
        if name == "up":
            continue
        assert name in LABELS, f"{where}: {name} is not exposed"
        assert labels <= LABELS[name], f"{where}: {name} has no label {labels - LABELS[name]}"
    if grouped := re.findall(r"by \(([^)]*)\)", query):
        known = {label for name, _ in read for label in LABELS.get(name, ())}
        assert {label.strip() for group in grouped for label in group.split(",")} <= known


def test_a_query_for_something_else_would_be_found():
    ((name, labels),) = selectors('rate(db_exec_monitor_nonsense_total{instance="a"}[5m])')
    assert name not in LABELS
    assert labels == {"instance"}


def test_states_that_are_asked_for_exist():
    asked = {state for _, query in QUERIES for state in re.findall(r'alerts_unsent\{state="(\w+)"', query)}
    assert asked <= {state.value for state in AlertState}
    assert asked


def test_the_labels_of_our_figures_win_over_those_of_prometheus():
    (job,) = SCRAPE["scrape_configs"]
    assert job["honor_labels"]
    assert job["job_name"] == "dbplanmon"
    assert job["metrics_path"] == "/metrics"
    assert SCRAPE["rule_files"] == ["dbplanmon.rules.yml"]


class TestRules:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
    def test_each_says_how_bad_it_is_and_where_to_read_on(self, rule):
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert promql_parser.parse_duration(rule["for"])
        page, _, anchor = re.search(r"docs/runbook\.md#[\w-]+", rule["annotations"]["description"])[0].partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
        assert anchor in anchors

    def test_names_are_unique(self):
        names = [rule["alert"] for rule in RULES]
        assert len(set(names)) == len(names)


class TestDashboard:
    def test_panels_have_numbers_of_their_own_and_do_not_overlap(self):
        panels = DASHBOARD["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for panel in panels
            for at in [panel["gridPos"]]
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24

    def test_variables_that_are_used_are_declared(self):
        declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
        text = json.dumps(DASHBOARD["panels"])
        assert set(re.findall(r"\$\{?(\w+)", text)) - {"__value"} <= declared

    def test_it_shows_every_figure_but_those_about_the_figures_themselves(self):
        text = json.dumps(DASHBOARD)
        left_out = {
            "build_info",
            "figures_age_seconds",
            "remediations_executed_total",
            "kpi_readings_total",
            "kpi_value",
        }
        missing = {metric.name for metric in METRICS if metric.full_name not in text}
        assert missing <= left_out

    def test_provisioning_reads_the_folder_it_names(self):
        text = (DEPLOY / "grafana" / "provisioning" / "dashboards" / "dbplanmon.yml").read_text("utf-8")
        (provider,) = yaml.safe_load(text)["providers"]
        assert provider["options"]["path"] == "/etc/grafana/dashboards"
