import pytest

from dbplanmon_pipeline.core.plans.showplan.expressions import comparable_expression, short_expression


@pytest.mark.parametrize(
    ("expression", "short"),
    [
        ("[Shop].[dbo].[Orders].[Id] as [o].[Id]=[@p1]", "o.Id=@p1"),
        ("[Shop].[dbo].[Orders].[Id]=(1)", "Orders.Id=(1)"),
        ("[o].[Total Sum]>[Expr1003]", "o.[Total Sum]>Expr1003"),
        ("[a]]b].[c].[d].[e]", "d.e"),
        ("[Total Sum] as [t].[c]", "[Total Sum] as t.c"),
        ("[a].[b].[c d", "b.[c d"),
        ("", ""),
    ],
)
def test_names_are_written_as_short_as_they_are_clear(expression, short):
    assert short_expression(expression) == short


@pytest.mark.parametrize("part", ["[", "[a].", "[a].[b] as ", "[a]]"])
def test_the_time_is_linear_in_the_text(part):
    """With one step for each pair of brackets this would take minutes."""
    assert len(short_expression(part * 100_000)) <= len(part) * 100_000


def test_values_and_numbers_of_the_optimizer_do_not_count_in_a_comparison():
    first, second = "[t].[A]=N'x' AND [Expr1003]>(1)", "[t].[A]=N'yy' AND [Expr1010]>(22)"
    assert comparable_expression(first) == comparable_expression(second) == "t.A=? AND Expr>(?)"
    assert comparable_expression("[t].[Expr1]=(1)") != comparable_expression("[t].[Expr2]=(1)")


@pytest.mark.parametrize(
    ("expression", "compared"),
    [
        ("PROBE([Opt_Bitmap1196],[mi].[id])", ""),
        ("PROBE([Opt_Bitmap1196],[mi].[id]) AND PROBE([Bitmap1004],[mi].[a],[mi].[b],N'[IN ROW]')", ""),
        ("[t].[year]>(5) AND PROBE([Opt_Bitmap1240],[t].[id])", "t.year>(?)"),
        ("PROBE([Opt_Bitmap1240],[t].[id]) AND [t].[year]>(5)", "t.year>(?)"),
        ("[t].[a]=(1) AND PROBE([Bitmap1240],[t].[id]) AND [t].[b]=(2)", "t.a=(?) AND t.b=(?)"),
        ("PROBE([t].[Bitmap1])=(1)", "PROBE(t.Bitmap1)=(?)"),
    ],
)
def test_the_bitmap_of_a_join_is_no_condition(expression, compared):
    assert comparable_expression(expression) == compared
