import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbplanmon_pipeline.core.statements.tsql import closed_tsql, mask_tsql_literals, statement_kind
from dbplanmon_pipeline_tests.core.statements.corpus import records


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from t1 where id = 42", "select * from t1 where id = ?"),
        ("where a = N'O''Brien' and b = 'x'", "where a = ? and b = ?"),
        ("where a = n'x'", "where a = ?"),
        ("where column = @p1 and y = @@rowcount and z = @1", "where column = @p1 and y = @@rowcount and z = @1"),
        ("from #tmp1 join ##g2 on #tmp1.c3 = ##g2.c4", "from #tmp1 join ##g2 on #tmp1.c3 = ##g2.c4"),
        ("a = 0xDEADBEEF and b = 0x and c = 0X1f", "a = ? and b = ? and c = ?"),
        ("a = 0xAB\\\nCD and b", "a = ? and b"),
        ("a = 1.5e-10 or b = .5 or c = 1. or d = 1E6 or e = -3", "a = ? or b = ? or c = ? or d = ? or e = -?"),
        ("a = $1,000.50 or b = £5 or c = $-3", "a = $?,? or b = £? or c = $-?"),
        ("merge t using s on 1=1 output $action, $rowguid", "merge t using s on ?=? output $action, $rowguid"),
        ("select [a]]1'b].[Total 1] from [dbo].[T 5]", "select [a]]1'b].[Total 1] from [dbo].[T 5]"),
        ('select "a 1" from "dbo"."t""2"', 'select "a 1" from "dbo"."t""2"'),
        ('select * from t join "u 1" on 1=1', 'select * from t join "u 1" on ?=?'),
        ('select * from t where a = "it\'s secret"', "select * from t where a = ?"),
        ('exec dbo.p "secret"', "exec dbo.p ?"),
        ("select 1 -- it's 99\n, b", "select ?  \n, b"),
        ("select /* a /* it's 7 */ 'b' */ x", "select   x"),
        ("select a-b, a/b, a - -1, - - 2", "select a-b, a/b, a - -?, - - ?"),
        ("select * from größe1 where ärger = N'ß'", "select * from größe1 where ärger = ?"),
        ("select top (10) * from t option (maxdop 2)", "select top (?) * from t option (maxdop ?)"),
        ("select a.b.c, d..e, f.nodes('/x') from t", "select a.b.c, d..e, f.nodes(?) from t"),
        ("values {ts '2026-01-01'}, {guid 'x'}", "values {ts ?}, {guid ?}"),
        ("", ""),
    ],
)
def test_literals_become_marks_and_names_stay(text, expected):
    assert mask_tsql_literals(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where a = 'never closed", "where a = ?"),
        ("where a = N'it''s cut''", "where a = ?"),
        ("where a = 'cut '' --", "where a = ?"),
        ("select /* never closed 5", "select  "),
        ("select /* a /* b */ 5", "select  "),
        ("select [never closed 5", "select ?"),
        ('select "never closed 5', "select ?"),
        ("where a = 0x", "where a = ?"),
    ],
)
def test_a_text_cut_off_is_masked_to_its_end(text, expected):
    assert mask_tsql_literals(text) == expected


@pytest.mark.parametrize("cut", ["[b", '"b', "N'b"])
def test_a_masked_text_is_masked_already(cut):
    masked = mask_tsql_literals(f'select "a".{cut}')
    assert masked == 'select "a".?'
    assert mask_tsql_literals(masked) == masked


@pytest.mark.parametrize(
    "open_or_not",
    [
        *("a = 'it''s", "a = N'", "a = 'x'''", "a = 'x'", "[a", "[a]]", "[a]", "[[a]", "]a[", '"a', '"a""', '"a"'),
        *("a /* b", "a /* /* b */", "a /*/", "a /* it's */", "a /* it's", "a -- it's", "a -- b\n", "a - b / c", ""),
    ],
)
def test_what_a_text_leaves_open_ends_with_it(open_or_not):
    behind = " AND b = 'x] */ \"\n secret'"
    whole = closed_tsql(open_or_not)
    assert whole.startswith(open_or_not)
    for quoted_names in (True, False):
        alone, both = (mask_tsql_literals(text, quoted_names=quoted_names) for text in (whole, f"{whole}{behind}"))
        assert both == f"{alone} AND b = ?"


def test_comment_with_apostrophe_two_dashes_then_newline_and_in_lists():
    text = "-- don't\nselect a from t where b in (1, 2, 3) -- it's\nand c = 'x--y' /* won't */ and d = 4"
    assert mask_tsql_literals(text) == " \nselect a from t where b in (?, ?, ?)  \nand c = ?   and d = ?"


@pytest.mark.parametrize(("quoted_names", "expected"), [(True, 'a = "x"'), (False, "a = ?"), (None, "a = ?")])
def test_what_double_quotes_mean_is_the_callers_to_say(quoted_names, expected):
    assert mask_tsql_literals('a = "x"', quoted_names=quoted_names) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('where a = -- the customer.\n "secret"', "where a =  \n ?"),
        ('where a = /* a join */ "secret"', "where a =   ?"),
        ('select 1."secret"', "select ??"),
        ('where a = 1into "secret"', "where a = ? ?"),
        ('select adjoin "secret"', "select adjoin ?"),
        ('select a\tinto\n "T" from t where b = 1', 'select a\tinto\n "T" from t where b = ?'),
    ],
    ids=["line comment", "block comment", "point of a number", "number runs into a word", "end of a word", "name"],
)
def test_only_words_and_points_outside_of_comments_and_numbers_demand_a_name(text, expected):
    assert mask_tsql_literals(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EXEC sp_addlogin bob, Secret1, master", "EXEC sp_addlogin ?, ?, ?"),
        (
            "exec @rc = [d b]..p @a = word, @b = [w d] output, -1, null",
            "exec @rc = [d b]..p @a = ?, @b = ? output, -?, null",
        ),
        ('execute "d"."p";2 "word", DEFAULT, @x out', 'execute "d"."p";? ?, DEFAULT, @x out'),
        ("sp_password NULL, Secret1", "sp_password NULL, ?"),
        ("insert t exec /* a */ p -- b\n word", "insert t exec   p  \n ?"),
        ("exec p word, begin", "exec p ?, ?"),
        ("exec p select a from t", "exec p select a from t"),
        ("exec p done: print a", "exec p done: print a"),
        ("exec p @a with recompile", "exec p @a with recompile"),
        ("grant execute on p to bob", "grant execute on p to bob"),
        ("execute as caller", "execute as caller"),
        ("exec (@sql) at other", "exec (@sql) at other"),
        ("sp_rows a, b from t", "sp_rows ?, ? from t"),
        ("total a, b", "total a, b"),
        ("exec", "exec"),
    ],
)
def test_words_that_a_procedure_gets_are_values(text, expected):
    assert mask_tsql_literals(text) == expected
    assert mask_tsql_literals(expected) == expected


@given(st.text(alphabet="'\"[]$ \\eExN-/*1a.\n?@#0", max_size=40))
def test_masking_ends_and_leaves_no_digit_outside_names(text):
    masked = mask_tsql_literals(text, quoted_names=True)
    without_names = re.sub(r'"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]|[@#$]*[^\W\d][\w@$#]*|[@#]+[\w@$#]*', "", masked)
    assert not re.search(r"[\d']", without_names)


@given(st.text(max_size=30), st.sampled_from(["", "N", "n"]))
def test_no_quoted_value_survives(value, prefix):
    literal = prefix + "'" + value.replace("'", "''") + "'"
    assert mask_tsql_literals(f"(a = {literal}) and b") == "(a = ?) and b"


@given(st.text(alphabet="'\"[]$ eN-/*1a.\n@#0", max_size=40))
def test_masking_is_stable_when_repeated(text):
    once = mask_tsql_literals(text)
    assert mask_tsql_literals(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", "SELECT"),
        ("  -- it's\n /* x */ ;Update t set a = 1", "UPDATE"),
        ("(@p1 int, @p2 nvarchar(4000))SELECT * FROM t WHERE a = @p1", "SELECT"),
        ("(@1 tinyint)DELETE [t] WHERE [a]=@1", "DELETE"),
        ("with a as (select 1 x), [b] (y) as (select 2) insert into t select * from a", "INSERT"),
        (";with xmlnamespaces('u' as n) select 1", "SELECT"),
        ("merge into t using s on 1=1", "MERGE"),
        ("exec dbo.p", "EXEC"),
        ("EXECUTE dbo.p", "EXEC"),
        ("(select 1) union (select 2)", "SELECT"),
        ("create index i on t(a)", "other"),
        ("declare @x int = (select 1)", "other"),
        ("if exists (select 1) select 2", "other"),
        ("selected", "other"),
        ("'select'", "other"),
        ("", "other"),
    ],
)
def test_the_kind_is_the_verb_that_does_the_work(text, expected):
    assert statement_kind(text) == expected


def test_real_statements_are_masked_fast_and_keep_no_string():
    texts = [record["sql"] for record in records("statements.jsonl")]
    assert len(texts) > 1000
    began = time.process_time()
    masked = [mask_tsql_literals(text) for text in texts]
    assert len(texts) / (time.process_time() - began) > 5000
    outside_names = (re.sub(r'"(?:[^"]|"")*"|\[(?:[^\]]|\]\])*\]', "", text) for text in masked)
    assert not [text for text in outside_names if "'" in text]
