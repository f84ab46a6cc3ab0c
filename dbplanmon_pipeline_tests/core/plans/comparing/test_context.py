import pytest

from dbplanmon_pipeline.core.plans.comparing.context import context_changes, stale_rows


def texts(old, new):
    return [(change.kind.value, change.text) for change in context_changes(old, new)]


def test_indexes_that_went_came_or_changed_are_told():
    ddl = "CREATE INDEX {} ON public.orders USING btree ({})"
    old = {"indexes": {"a": ddl.format("a", "x"), "b": ddl.format("b", "x"), "same": "s"}}
    new = {"indexes": {"b": ddl.format("b", "y"), "c": ddl.format("c", "z"), "same": "s"}}
    assert texts(old, new) == [
        ("index", "index a is gone: CREATE INDEX a ON public.orders USING btree (x)"),
        (
            "index",
            f"index b was rebuilt differently: {ddl.format('b', 'x')} became {ddl.format('b', 'y')}",
        ),
        ("index", "index c is new: CREATE INDEX c ON public.orders USING btree (z)"),
    ]


def test_a_changed_setting_is_told_with_both_values():
    assert texts({"settings": {"work_mem": "4MB"}}, {"settings": {"work_mem": "64kB"}}) == [
        ("setting", "setting work_mem: 4MB became 64kB")
    ]


def test_a_setting_that_only_one_side_names_has_its_default_on_the_other():
    assert texts({"settings": {}}, {"settings": {"enable_hashjoin": "off"}}) == [
        ("setting", "setting enable_hashjoin: the default became off")
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (149, []),
        (4000, [("table", "table public.t grew from 100 to 4,000 rows (x40)")]),
        (50, [("table", "table public.t shrank from 100 to 50 rows (x0.5)")]),
        (None, []),
    ],
)
def test_tables_that_grew_or_shrank_are_told(rows, expected):
    assert texts({"tables": {"public.t": {"rows": 100}}}, {"tables": {"public.t": {"rows": rows}}}) == expected


def test_refreshed_and_stale_statistics_are_told():
    old = {"tables": {"t": {"rows": 9, "last_analyze": None, "n_mod_since_analyze": 0}}}
    fresh = {"tables": {"t": {"rows": 9, "last_analyze": "2026-03-01T12:00:00+00:00", "n_mod_since_analyze": 0}}}
    stale = {"tables": {"t": {"rows": 9, "last_analyze": None, "n_mod_since_analyze": 5000}}}
    assert texts(old, fresh) == [("statistics", "statistics of t were refreshed at 2026-03-01T12:00:00+00:00")]
    assert texts(old, stale) == [("statistics", "statistics of t are stale: 5,000 rows changed since they were taken")]


@pytest.mark.parametrize(
    ("changed", "rows", "stale"), [(999, 10, 0), (1000, 10, 1000), (1000, 20_000, 0), (None, None, 0)]
)
def test_statistics_are_stale_from_a_tenth_of_the_table_and_a_thousand_rows(changed, rows, stale):
    assert stale_rows({"rows": rows, "n_mod_since_analyze": changed}) == stale


def test_what_one_side_does_not_know_is_not_compared():
    known = {"indexes": {"a": "x"}, "settings": {"b": "1"}, "tables": {"c": {"rows": 1}}}
    assert texts(known, {}) == texts({}, known) == texts({"tables": {}}, known) == []


def test_equal_contexts_do_not_differ():
    known = {"indexes": {"a": "x"}, "settings": {"b": "1"}, "tables": {"c": {"rows": 1, "last_analyze": "y"}}}
    assert texts(known, dict(known)) == []


HOME = {"database": "sql1/shop", "tables": {"dbo.t": {"rows": 100}}}


def test_contexts_of_two_databases_are_not_compared():
    old = {**HOME, "indexes": {"a on dbo.t": "x"}}
    elsewhere = {"database": "sql1/tenant", "tables": {"dbo.t": {"rows": 900}}, "indexes": {}}
    assert texts(old, elsewhere) == []
    assert texts(old, {**elsewhere, "database": "sql1/shop"}) == [
        ("index", "index a on dbo.t is gone: x"),
        ("table", "table dbo.t grew from 100 to 900 rows (x9)"),
    ]


def test_an_index_of_a_table_that_was_not_seen_is_neither_gone_nor_new():
    seen = {**HOME, "indexes": {"a on dbo.t": "x"}}
    unseen = {"database": "sql1/shop", "tables": {"dbo.other": {"rows": 1}}, "indexes": {}}
    assert texts(seen, unseen) == texts(unseen, seen) == []
    assert texts(seen, {"engine": "sqlserver", "database": "sql1/shop"}) == []


def test_an_index_that_is_disabled_or_enabled_is_told_so():
    there, off = ({**HOME, "indexes": {"a on dbo.t": text}} for text in ("x", "-- disabled: x"))
    assert texts(there, off) == [("index", "index a on dbo.t was disabled: x")]
    assert texts(off, there) == [("index", "index a on dbo.t is no longer disabled: x")]
