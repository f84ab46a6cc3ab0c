"""What a statement that writes looks for, as a query; that real servers plan it is tested in `test_search_plans.py`."""

import pytest

from dbplanmon_pipeline.providers.postgres.rows_sought import rows_sought

SEARCHES = {
    'update "A b"."C" set x = x + $2 where id = $1': 'SELECT "A b"."C" .ctid FROM "A b"."C" where id = $1',
    "update only t * as x set a = $1, b = c is distinct from $2 from u join v using (k) where x.id = u.id and k = $3"
    " returning *": "SELECT x .ctid FROM only t * as x , u join v using (k) where x.id = u.id and k = $1",
    "update t set a = (select max(b) from u where c = $1) where d = $2": "SELECT t .ctid FROM t where d = $1",
    "DELETE FROM t": "SELECT t.ctid FROM t",
    "delete from only (t) d using u where d.id = u.id and u.x = $4": (
        "SELECT d .ctid FROM only (t) d , u where d.id = u.id and u.x = $1"
    ),
    'delete from t where "where" = $9 returning id': 'SELECT t .ctid FROM t where "where" = $1',
    "insert into t (a, b) select a, b from u join v on v.k = u.k where x = $3 on conflict (a) do nothing returning a": (
        "select a, b from u join v on v.k = u.k where x = $1"
    ),
    "insert into t with w as (select $2) select * from w": "with w as (select $1) select * from w",
    "insert into t (select * from u for share)": "(select * from u )",
    "with q as (select id from j where s = $1 for update of j, public.k skip locked) update j set s = $2 from q"
    " where j.id = q.id": "with q as (select id from j where s = $1 ) SELECT j .ctid FROM j , q where j.id = q.id",
    "select * from t /* for share */ where id = $1 for no key update nowait": "select * from t where id = $1",
    "merge into t x using (select $2 as a) s on x.a = s.a and case when $1 then true end when matched then"
    " update set b = $3": "SELECT x .ctid FROM (select $2 as a) s JOIN t x on x.a = s.a and case when $1 then true end",
    "merge into t using s on t.a = s.a when not matched then insert values ($1)": (
        "SELECT t .ctid FROM s LEFT JOIN t on t.a = s.a"
    ),
}


@pytest.mark.parametrize(("text", "search"), SEARCHES.items())
def test_what_is_looked_for_stays_and_what_is_written_goes(text, search):
    assert " ".join(rows_sought(text).split()) == search


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "insert into t (a) values ($1)",
        "insert into t default values",
        "update t set a = $1 where current of c",
        "with x as (select 1)",
        "merge into t",
        "update",
        "",
    ],
)
def test_what_looks_for_nothing_has_no_search(text):
    assert rows_sought(text) is None
