import time

import pytest

from dbplanmon_pipeline.core.statements.tsql_reading import end_of_first_word, why_not_reading


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        " ;WITH c AS (SELECT 1 AS a) SELECT a FROM c;",
        "select count(*) from orders where note = 'x; DELETE FROM orders'",
        'SELECT [delete], "update" FROM [into] /* ; DROP TABLE t */ -- EXEC p',
        "SELECT a FROM t ORDER BY a OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY OPTION (MERGE JOIN, USE HINT('X'), RECOMPILE)",
        "SELECT 1e5, 1.5, .5, 0x1F, $12, @@SPID FROM a INNER MERGE JOIN b ON a.x = b.x",
        "SELECT N'é' AS [größe]\r\n\tFROM t",
    ],
)
def test_one_statement_that_reads_passes(text):
    assert why_not_reading(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- SELECT 1",
        "'SELECT 1'",
        "EXEC p",
        "p 1",
        "DELETE FROM t",
        "SELECT 1 DELETE FROM t",
        "SELECT 1;DELETE FROM t",
        "SELECT 1; SELECT 2",
        "SELECT 1/**/DELETE/**/FROM t",
        "SELECT 1DELETE FROM t",
        "SELECT 1.5DELETE FROM t",
        "SELECT 1eEXEC p",
        "SELECT 0xINSERT t VALUES (1)",
        "SELECT 'a'EXEC p",
        "SELECT N'a'EXEC p",
        "SELECT [a]EXEC p",
        'SELECT "a"EXEC p',
        "SELECT $1EXEC p",
        "SELECT @a=1EXEC p",
        "SELECT (1)EXEC p",
        "SELECT 1\u00a0EXEC p",
        "SELECT 1 --\x0b\nEXEC p",
        "SELECT 1 --\u2028EXEC p",
        "SELECT 1 --\rEXEC p",
        "SELECT 'a''b'EXEC p",
        "SELECT 1 /* /* */ */ EXEC p",
        "SELECT a INTO b FROM c",
        "WITH c AS (SELECT a FROM t) UPDATE c SET a = 1",
        "WITH c AS (SELECT a FROM t) MERGE c USING d ON 1 = 1 WHEN MATCHED THEN DELETE;",
        "SELECT a FROM OPENROWSET('a', 'b', 'c')",
        "SELECT a FROM OPENQUERY(other, 'DELETE FROM t')",
        "SELECT NEXT VALUE FOR numbers",
        "SELECT 1 COMMIT",
        "SELECT 1 SET XACT_ABORT OFF",
        "SELECT 1 DECLARE @a int",
        "SELECT 1 USE master",
        "SELECT 1 WAITFOR DELAY '00:10'",
        "SELECT 1 KILL 52",
        "SELECT [a",
    ],
)
def test_everything_else_is_refused_without_a_word_of_the_text(text):
    reason = why_not_reading(text)
    assert reason
    assert "numbers" not in reason
    assert "other" not in reason


def test_the_first_word_is_found_behind_comments():
    text = "/* SELECT */ -- WITH\n  SELECT 1"
    assert text[: end_of_first_word(text)].endswith("\n  SELECT")


def test_a_text_of_signs_alone_takes_no_longer_than_its_length():
    began = time.process_time()
    assert why_not_reading("#" * 100_000) == "it does not begin with SELECT or WITH"
    assert time.process_time() - began < 5  # It took two minutes when each sign was tried with all that follow.
