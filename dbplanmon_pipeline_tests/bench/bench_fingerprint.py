"""How fast statements are fingerprinted, and how well that groups those of real plans.

python -m dbplanmon_pipeline_tests.bench.bench_fingerprint
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from dbplanmon_pipeline.core.statements.fingerprint import Dialect, fingerprint
from dbplanmon_pipeline_tests.bench.figures import Row, markdown, spend

NAME = "Fingerprints"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data" / "sql"
LONGEST = 100_000
"""Characters; the corpus has one statement of a megabyte, which would be all that is measured."""
STATEMENTS = {
    Dialect.TSQL: """SELECT o.id, o.total, c.name -- it's the customer's
FROM [dbo].[orders] AS o WITH (NOLOCK) JOIN dbo.customers AS c ON c.id = o.customer_id
WHERE c.name = N'O''Brien' AND o.placed_at >= '2026-01-01T00:00:00' AND o.state IN (1, 2, 3, 5, 8, 13)
    AND o.total > 99.95 /* only the dear ones */ AND o.token = @token
ORDER BY o.placed_at DESC OFFSET 0 ROWS FETCH NEXT 50 ROWS ONLY OPTION (RECOMPILE)""",
    Dialect.POSTGRES: """SELECT o.id, o.total, c."Name" -- it's the customer's
FROM public.orders AS o JOIN public.customers AS c ON c.id = o.customer_id
WHERE c."Name" = 'O''Brien' AND o.placed_at >= '2026-01-01'::timestamptz AND o.state IN (1, 2, 3, 5, 8, 13)
    AND o.total > 99.95 /* only the dear ones */ AND o.token = $1
ORDER BY o.placed_at DESC OFFSET 0 LIMIT 50""",
}
NAMES = {Dialect.TSQL: ("mssql", "tsql"), Dialect.POSTGRES: ("postgres", "postgresql")}


def run() -> list[Row]:
    rows = [
        Row(
            f"a {dialect} statement of {len(text)} characters, CPU",
            _per_second([text] * 5_000, dialect),
            "/s",
            ">= 10,000",
        )
        for dialect, text in STATEMENTS.items()
    ]
    if not CORPUS.exists():
        return [*rows, Row("real statements: ../shared/data/sql is not here", 0, "")]
    return [*rows, *_speed_on_real_statements(), *_groups_of_the_engine()]


def _per_second(texts: list[str], dialect: Dialect) -> float:
    return len(texts) / spend(lambda: [fingerprint(text, dialect) for text in texts], times=3).cpu


def _speed_on_real_statements() -> list[Row]:
    records = _records("statements.jsonl")
    rows = []
    for dialect, names in NAMES.items():
        texts = [one["sql"] for one in records if one["dialect"] in names and len(one["sql"]) < LONGEST]
        what = f"{len(texts):,} real {dialect} statements of {sum(map(len, texts)) / len(texts):.0f} characters, CPU"
        rows.append(Row(what, _per_second(texts, dialect), "/s", ">= 10,000"))
    return rows


def _groups_of_the_engine() -> list[Row]:
    """Against the query hash of SQL Server, which says which texts it holds for the same."""
    fingerprints, hashes, texts = defaultdict(set), defaultdict(set), defaultdict(set)
    for record in _records("showplan_statements.jsonl"):
        if record["query_hash"]:
            query_hash, found = int(record["query_hash"], 16), fingerprint(record["sql"], Dialect.TSQL).value
            fingerprints[query_hash].add(found)
            hashes[found].add(query_hash)
            texts[query_hash].add(record["sql"])
    several = [query_hash for query_hash, found in texts.items() if len(found) > 1]
    split = sum(len(fingerprints[query_hash]) > 1 for query_hash in several)
    merged = sum(len(found) > 1 for found in hashes.values())
    return [
        Row(f"of {len(several)} query hashes with several texts have several fingerprints", split, "", "< 10 %"),
        Row(f"of {len(hashes)} fingerprints have several query hashes", merged, "", "docs/fingerprints.md names each"),
    ]


def _records(name: str) -> list[dict[str, Any]]:
    with (CORPUS / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    sys.stdout.write(f"{markdown(NAME, run())}\n")
