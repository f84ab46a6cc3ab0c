import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.remedies.index_ddl import index_scripts


@pytest.mark.parametrize(
    ("definition", "create", "drop"),
    [
        (
            "CREATE UNIQUE INDEX a ON public.t USING btree (x)",
            "CREATE UNIQUE INDEX CONCURRENTLY a ON public.t USING btree (x);",
            "DROP INDEX CONCURRENTLY IF EXISTS public.a;",
        ),
        (
            'CREATE INDEX "A b" ON "S.x"."T" USING gin (x);',
            'CREATE INDEX CONCURRENTLY "A b" ON "S.x"."T" USING gin (x);',
            'DROP INDEX CONCURRENTLY IF EXISTS "S.x"."A b";',
        ),
        (
            "CREATE INDEX a ON t USING btree (x)",
            "CREATE INDEX CONCURRENTLY a ON t USING btree (x);",
            "DROP INDEX CONCURRENTLY IF EXISTS a;",
        ),
        (
            'CREATE INDEX "a ON ONLY b" ON ONLY public.t USING btree (x)',
            'CREATE INDEX "a ON ONLY b" ON public.t USING btree (x);',
            'DROP INDEX IF EXISTS public."a ON ONLY b";',
        ),
    ],
)
def test_postgresql_scripts(definition, create, drop):
    scripts = index_scripts(definition, Engine.POSTGRES)
    assert (scripts.create, scripts.drop) == (create, drop)
    assert scripts.blocks_writes == ("CONCURRENTLY" not in create)


def test_sql_server_scripts():
    scripts = index_scripts("CREATE UNIQUE CLUSTERED INDEX [a]]b] ON dbo.[T] (x DESC)", Engine.SQLSERVER)
    assert scripts.create == "CREATE UNIQUE CLUSTERED INDEX [a]]b] ON dbo.[T] (x DESC);"
    assert (scripts.drop, scripts.table, scripts.blocks_writes) == ("DROP INDEX [a]]b] ON dbo.[T];", "dbo.[T]", True)


@pytest.mark.parametrize(
    "definition",
    [
        "",
        "DROP TABLE t",
        "ALTER TABLE t ADD PRIMARY KEY (id)",
        "CREATE INDEX a ON t (x); DROP TABLE t",
        "CREATE INDEX CONCURRENTLY a ON t (x)",
        "CREATE INDEX ON t (x)",
    ],
)
def test_what_is_not_one_plain_definition_has_no_scripts(definition):
    assert index_scripts(definition, Engine.POSTGRES) is None


SCHEMA = (
    'CREATE SCHEMA "Sa les"',
    'CREATE TABLE "Sa les"."Or""ders" (id int, "Customer Id" int, status text)',
    "CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at)",
    "CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-01')",
)


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX "by ""cust" ON "Sa les"."Or""ders" ("Customer Id" DESC) INCLUDE (status)',
        'CREATE UNIQUE INDEX open_only ON "Sa les"."Or""ders" (lower(status), id) WHERE status = \'it\'\'s open\'',
    ],
    ids=["quoted", "partial"],
)
def test_a_real_server_gets_the_same_index_back_and_can_drop_it_again(postgres_session, statement):
    def definitions():
        rows = postgres_session.execute("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname !~ '^pg_'")
        return dict(rows.fetchall())

    for line in SCHEMA:
        postgres_session.execute(line.encode())
    postgres_session.execute(statement.encode())
    ((name, definition),) = definitions().items()
    scripts = index_scripts(definition, Engine.POSTGRES)
    postgres_session.execute(scripts.drop.encode())
    assert definitions() == {}
    postgres_session.execute(scripts.create.encode())
    assert definitions() == {name: definition}


def test_a_real_server_gets_the_index_of_a_partitioned_table_back_with_those_of_its_partitions(postgres_session):
    for line in (*SCHEMA, "CREATE INDEX parts_at ON parts (at)"):
        postgres_session.execute(line.encode())
    listed = "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname LIKE 'parts%'"
    before = set(postgres_session.execute(listed.encode()).fetchall())
    (definition,) = postgres_session.execute(b"SELECT pg_get_indexdef('parts_at'::regclass)").fetchone()
    scripts = index_scripts(definition, Engine.POSTGRES)
    postgres_session.execute(scripts.drop.encode())
    assert postgres_session.execute(listed.encode()).fetchall() == []
    postgres_session.execute(scripts.create.encode())
    assert (
        set(postgres_session.execute(listed.encode()).fetchall())
        == before
        == {("parts_at", True), ("parts_old_at_idx", True)}
    )
