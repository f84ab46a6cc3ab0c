"""Every statement of the provider, also those that come later: readable, honest about its needs, harmless."""

import re
from importlib.resources import files

import pytest
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from dbplanmon_pipeline.providers.sqlserver.editions import RELEASES, EngineEdition
from dbplanmon_pipeline.providers.sqlserver.inventory import AZURE_ONLY, inventory, statement_info
from dbplanmon_pipeline.providers.sqlserver.self_test import harmless_parameters
from dbplanmon_pipeline.providers.sqlserver.sqltext import MARKER, statement
from dbplanmon_pipeline_tests.support.sqlserver_catalog import AZURE, VIEWS, columns_of
from dbplanmon_pipeline_tests.support.tsql_parsers import parsed, unparsable

FOLDER = files("dbplanmon_pipeline.providers.sqlserver").joinpath("sql")
NAMES = sorted(entry.name.removesuffix(".sql") for entry in FOLDER.iterdir() if entry.name.endswith(".sql"))
WRITING = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Command, exp.Into)

every_file = pytest.mark.parametrize("name", NAMES)


def text_of(name: str) -> str:
    return statement(name).replace("{ids}", "?")


def tree_of(name: str) -> exp.Expression:
    (tree,) = parsed(text_of(name))
    return tree


def view_of(table: exp.Table) -> str:
    """`sys.dm_exec_sql_text` for a table or a function call; no catalog, and always the schema sys."""
    called = table.this.name if isinstance(table.this, exp.Anonymous) else table.name
    return f"{table.db}.{called}".lower()


def called_by(lateral: exp.Lateral) -> str:
    """The function that CROSS APPLY calls."""
    return lateral.this.sql("tsql").partition("(")[0].lower()


def sources_of(tree: exp.Expression) -> set[str]:
    """Views and functions; names that a WITH of the statement itself defines are none."""
    defined = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = {view_of(table) for table in tree.find_all(exp.Table) if table.db or table.name not in defined}
    return tables | {called_by(lateral) for lateral in tree.find_all(exp.Lateral)}


def test_there_are_files_and_all_are_in_the_inventory() -> None:
    assert len(NAMES) >= 20
    assert [info.name for info in inventory()] == NAMES


@every_file
def test_the_first_line_is_the_marker(name: str) -> None:
    assert statement(name).splitlines()[0] == MARKER


@every_file
def test_the_mark_stands_within_the_statement_where_query_store_keeps_it(name: str) -> None:
    body = "\n".join(line for line in statement(name).splitlines()[1:] if not line.startswith("--"))
    assert body.startswith(f"SELECT {MARKER}")
    assert body.count(f"SELECT {MARKER}") == 1


@pytest.mark.parametrize("name", ["runtime_stats", "runtime_stats_2017", "runtime_stats_2022"])
def test_figures_are_read_without_the_plans_beside_them(name: str) -> None:
    assert sources_of(tree_of(name)) == {"sys.query_store_runtime_stats"}


@every_file
def test_the_heading_tells_purpose_version_and_permission(name: str) -> None:
    info = statement_info(name, statement(name))
    assert info.purpose
    assert info.permission
    assert info.release in (*RELEASES, AZURE_ONLY)
    assert info.excluded in ("", EngineEdition.AZURE_SQL_DB.value)


@every_file
def test_one_select_that_writes_nothing(name: str) -> None:
    statements = parsed(text_of(name))
    assert len(statements) == 1
    assert isinstance(statements[0], exp.Select | exp.Union)
    assert list(statements[0].find_all(*WRITING)) == []


@every_file
def test_both_parsers_read_it(name: str) -> None:
    assert unparsable(text_of(name)) == []


@every_file
def test_every_column_is_named_and_bears_a_house_name(name: str) -> None:
    tree = tree_of(name)
    assert list(tree.find_all(exp.Star)) == [star for star in tree.find_all(exp.Star) if star.find_ancestor(exp.Count)]
    names = [column.alias for column in tree.selects]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", alias) for alias in names), names
    assert len(set(names)) == len(names)


@every_file
def test_values_are_bound_and_harmless_ones_exist(name: str) -> None:
    info = statement_info(name, statement(name))
    assert len(list(tree_of(name).find_all(exp.Placeholder))) == len(harmless_parameters(info))
    assert "@" not in re.sub("--.*", "", text_of(name)).replace("@@", "")


@every_file
def test_every_table_is_a_known_system_view(name: str) -> None:
    tree = tree_of(name)
    assert sources_of(tree) <= set(VIEWS)
    assert not any(table.catalog for table in tree.find_all(exp.Table))


@every_file
def test_only_columns_of_the_oldest_version_it_claims(name: str) -> None:
    info = statement_info(name, statement(name))
    levels = [AZURE if info.release == AZURE_ONLY else RELEASES[info.release]]
    if info.excluded != EngineEdition.AZURE_SQL_DB.value:
        levels.append(AZURE)
    for level in levels:
        assert unknown_columns(tree_of(name), level) == []


def unknown_columns(tree: exp.Expression, level: int) -> list[str]:
    """Columns that the source they name does not have at that level, and those that name none."""
    return [
        column.sql()
        for scope in traverse_scope(tree)
        for column in scope.columns
        if column.name not in columns_from(scope.sources.get(column.table), level)
    ]


def columns_from(source: exp.Table | Scope | None, level: int) -> set[str]:
    """Of a view, of what a function returns, or of a query inside the statement."""
    if source is None:
        return set()
    if isinstance(source, exp.Table):
        return {column for column, _ in columns_of(view_of(source), level)}
    if isinstance(source.expression, exp.Lateral):
        return {column for column, _ in columns_of(called_by(source.expression), level)}
    return set(source.expression.named_selects)


@every_file
def test_reading_statements_use_one_processor(name: str) -> None:
    tree = tree_of(name)
    if tree.find(exp.Table):
        assert statement(name).rstrip().endswith("OPTION (MAXDOP 1)")


def test_a_column_of_a_later_version_would_be_found() -> None:
    (tree,) = parsed("SELECT p.plan_id AS a, p.plan_type_desc AS b FROM sys.query_store_plan AS p")
    assert unknown_columns(tree, RELEASES["2019"]) == ["p.plan_type_desc"]
    assert unknown_columns(tree, RELEASES["2022"]) == []


def test_a_column_without_its_view_would_be_found() -> None:
    (tree,) = parsed("SELECT plan_id AS a FROM sys.query_store_plan AS p")
    assert unknown_columns(tree, RELEASES["2022"]) == ["plan_id"]


def test_a_column_of_a_later_version_behind_cross_apply_would_be_found() -> None:
    text = "SELECT a.nothing AS x FROM sys.dm_exec_query_stats AS s CROSS APPLY sys.dm_exec_sql_text(s.sql_handle) AS a"
    (tree,) = parsed(text)
    assert unknown_columns(tree, RELEASES["2022"]) == ["a.nothing"]
    assert sources_of(tree) == {"sys.dm_exec_query_stats", "sys.dm_exec_sql_text"}


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("-- Purpose: x.\n-- Minimum version: 2016.", "no purpose, minimum version and permission"),
        ("-- Purpose: x.\n-- Minimum version: 2014. Permission: none.", "no purpose, minimum version and permission"),
        ("-- Purpose: x.\n-- Minimum version: 2016. Permission: none.\nSELECT ? AS a", "tells of 0 parameters"),
        ("-- Purpose: x.\n-- Minimum version: 2016. Permission: none. Parameters: a int, b int.", "of 2 parameters"),
    ],
)
def test_a_heading_that_tells_too_little_is_refused(heading: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        statement_info("x", heading)
