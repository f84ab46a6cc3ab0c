"""A whole back-test: what one or two sets of settings would have said of the same record."""

from collections.abc import Mapping
from dataclasses import dataclass

from dbplanmon_pipeline.services.backtest import BacktestReport
from dbplanmon_pipeline.services.backtest_comparison import Comparison
from dbplanmon_pipeline.services.backtest_curves import Curve
from dbplanmon_pipeline.services.backtest_scores import Score


@dataclass(frozen=True, slots=True)
class Side:
    """One set of settings and what it would have said.

    Attributes:
        settings: values that a verdict depends on, by their keys.
        report: notifications and figures.
        score: None without labels, or where nothing was judged.
        curves: figures around the dearest notifications, the dearest first; empty unless asked for.
    """

    settings: Mapping[str, str]
    report: BacktestReport
    score: Score | None = None
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, slots=True)
class Backtested:
    """By the settings, and where asked for by others as well; then both sides and their comparison are there."""

    main: Side
    against: Side | None = None
    comparison: Comparison | None = None

    @property
    def sides(self) -> tuple[Side, ...]:
        """One or both."""
        return (self.main,) if self.against is None else (self.main, self.against)
