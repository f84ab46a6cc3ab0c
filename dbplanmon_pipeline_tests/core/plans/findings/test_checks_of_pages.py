"""The SQL that pages give for checking is SQL: run on a real PostgreSQL, read by a parser of T-SQL."""

import re
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.plans.findings.registry import RULES
from dbplanmon_pipeline_tests.support.postgres import connect, fresh_database
from dbplanmon_pipeline_tests.support.tsql_parsers import unparsable

PAGES = Path(__file__).parents[4] / "docs" / "findings"
CHECKS = {
    rule.slug: re.search(r"```sql\n(.*?)```", (PAGES / f"{rule.slug}.md").read_text("utf-8"), re.DOTALL)[1]
    for rule in RULES
}
OF_POSTGRES = [slug for slug, text in CHECKS.items() if "pg_" in text]
OF_SQL_SERVER = [slug for slug, text in CHECKS.items() if "pg_" not in text and not text.startswith("EXPLAIN")]


@pytest.fixture(scope="module")
def database(postgres_server):
    tables = ["CREATE EXTENSION pg_stat_statements", "CREATE TABLE documents (id int)"]
    with fresh_database(postgres_server, *tables) as name:
        yield postgres_server, name


@pytest.mark.parametrize("slug", OF_POSTGRES)
def test_a_check_runs_on_postgres(database, slug):
    server, name = database
    with connect(server, name) as session:
        assert session.execute(CHECKS[slug].encode()).description


@pytest.mark.parametrize("slug", OF_SQL_SERVER)
def test_a_check_is_t_sql(slug):
    assert unparsable(CHECKS[slug]) == []
