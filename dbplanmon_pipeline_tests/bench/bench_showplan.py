"""How fast showplans and T-SQL are read and redacted, on made-up ones and on those of the corpus where it lies."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dbplanmon_pipeline.core.plans.encoding import plan_text as decoded
from dbplanmon_pipeline.core.plans.showplan.parsing import parse_showplan
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals
from dbplanmon_pipeline.errors import PlanParseError
from dbplanmon_pipeline.providers.simulated.plans import plan_text
from dbplanmon_pipeline_tests.bench.figures import Row, spend

NAME = "Showplans and T-SQL"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data"
PLAN_BYTES = 50_000
MADE_UP = 40
STATEMENT = """SELECT o.id, o.total, c.name -- it's the customer's
FROM dbo.orders AS o JOIN dbo.customers AS c ON c.id = o.customer_id
WHERE c.name = N'O''Brien' AND o.placed_at >= '2026-01-01T00:00:00' AND o.state IN (1, 2, 3, 5, 8, 13)
    AND o.total > 99.95 /* only the dear ones */ AND o.token = 0xDEADBEEF
ORDER BY o.placed_at DESC OFFSET 0 ROWS FETCH NEXT 50 ROWS ONLY"""


def run() -> list[Row]:
    plans = [_large_plan(number) for number in range(MADE_UP)]
    size = f"made-up showplans of {sum(map(len, plans)) / len(plans) / 1000:.0f} kB"
    rows = [
        Row(f"{size} parsed, CPU", _per_second(parse_showplan, plans), "/s", ">= 800"),
        Row(f"{size} redacted, CPU", _per_second(redact_showplan, plans), "/s"),
        Row(
            f"a statement of {len(STATEMENT)} characters masked, CPU",
            _per_second(mask_tsql_literals, [STATEMENT] * 2_000),
            "/s",
            ">= 10,000",
        ),
    ]
    return rows + _plans_of_the_corpus() + _statements_of_the_corpus()


def _per_second(act: Callable[[str], Any], texts: Sequence[str]) -> float:
    return len(texts) / spend(lambda: [act(text) for text in texts]).cpu


def _large_plan(number: int) -> str:
    """As many statements in one batch as make up the size; each differs from those of other plans."""
    parts = [plan_text(number * 20 + part, part % 3, 1_700_000_000_000_000, None) for part in range(20)]
    head, _, _ = parts[0].partition("<StmtSimple")
    body = ""
    for part in parts:
        if len(body) < PLAN_BYTES:
            body += part[part.index("<StmtSimple") : part.index("</Statements>")]
    return f"{head}{body}</Statements></Batch></BatchSequence></ShowPlanXML>"


def _plans_of_the_corpus() -> list[Row]:
    manifest = CORPUS / "showplans" / "MANIFEST.jsonl"
    if not manifest.exists():
        return [Row("real showplans: ../shared/data/showplans is not here", 0, "")]
    entries = [entry for entry in _lines(manifest) if entry["valid_showplan"]]
    plans = [text for entry in entries if (text := _readable(manifest.parent / entry["file"]))]
    sizes = sum(map(len, plans)) / PLAN_BYTES / len(plans)
    what = f"{len(plans)} real showplans, {sizes * PLAN_BYTES / 1000:.0f} kB on average, counted by their 50 kB"
    return [
        Row(f"{what}: parsed, CPU", _per_second(parse_showplan, plans) * sizes, "/s", ">= 800"),
        Row(f"{what}: redacted, CPU", _per_second(redact_showplan, plans) * sizes, "/s"),
    ]


def _readable(file: Path) -> str:
    """Empty where the corpus keeps it as an example of what cannot be read."""
    try:
        text = decoded(file.read_bytes())
        parse_showplan(text)
    except PlanParseError:
        return ""
    return text


def _statements_of_the_corpus() -> list[Row]:
    file = CORPUS / "sql" / "statements.jsonl"
    if not file.exists():
        return [Row("real T-SQL: ../shared/data/sql is not here", 0, "")]
    texts = [entry["sql"] for entry in _lines(file) if entry["dialect"] in ("mssql", "tsql")]
    size = sum(map(len, texts)) / len(texts)
    what = f"{len(texts):,} real T-SQL statements of {size:.0f} characters masked, CPU"
    return [Row(what, _per_second(mask_tsql_literals, texts), "/s", ">= 10,000")]


def _lines(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
