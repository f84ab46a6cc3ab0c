"""A back-test as JSON and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from dbplanmon_pipeline.cli.output import Cell, print_line, print_section, print_table
from dbplanmon_pipeline.core.backtest_records import alert_record
from dbplanmon_pipeline.core.plain_words import duration_words, hash_words, moment_words
from dbplanmon_pipeline.core.records import Record, place
from dbplanmon_pipeline.services.backtest import Notification
from dbplanmon_pipeline.services.backtest_comparison import Comparison
from dbplanmon_pipeline.services.backtest_scores import Found, Score
from dbplanmon_pipeline.services.backtested import Backtested, Side

_SHOWN = 20
_FOUND = ("Events", "Number", "Found", "Recall", "Delay, median", "Delay, 90 %")


def facts(found: Backtested, against: Path | None) -> Record:
    """What `--json` prints."""
    report = found.main.report
    return {
        "intervals": report.intervals,
        "first": report.first,
        "last": report.last,
        "ticks": report.ticks,
        "held_back": report.held_back,
        "alerts": len(report.notifications),
        "score": _score_facts(found.main),
        "against": _other_facts(found.against, against),
        "comparison": _comparison_facts(found.comparison) if found.comparison else None,
    }


def _score_facts(side: Side) -> Record | None:
    return asdict(side.score) if side.score else None


def _other_facts(side: Side | None, file: Path | None) -> Record | None:
    if side is None:
        return None
    return {
        "settings": str(file),
        "alerts": len(side.report.notifications),
        "score": _score_facts(side),
    }


def _comparison_facts(found: Comparison) -> Record:
    return {
        "both": [
            {
                "settings": _record(pair.first),
                "against": _record(pair.second),
                "delay_seconds": pair.delay.total_seconds(),
                "alerts_settings": pair.said_by_first,
                "alerts_against": pair.said_by_second,
            }
            for pair in found.both
        ],
        "only_settings": [_record(one) for one in found.only_first],
        "only_against": [_record(one) for one in found.only_second],
        "median_delay_seconds": found.median_delay.total_seconds() if found.median_delay is not None else None,
    }


def _record(one: Notification) -> Record:
    return alert_record(one.raised_at, one.incident)


def print_words(found: Backtested, files: Sequence[Path], against: Path | None) -> None:
    """What is printed without `--json`."""
    report = found.main.report
    if report.first is None or report.last is None:
        print_line(f"{report.intervals:,} intervals are too few: as many days as a baseline learns from come first")
        return
    written = f" in {', '.join(map(str, files))}" if files else "; --alerts writes them to a file"
    print_line(
        f"{report.intervals:,} intervals, judged from {moment_words(report.first)} to {moment_words(report.last)}: "
        f"{len(report.notifications):,} alerts{written}"
    )
    if found.main.score:
        _print_score("With these settings", found.main.score)
    if found.against and found.against.score:
        _print_score(f"With {against}", found.against.score)
    if found.comparison:
        _print_comparison(found.comparison, str(against))


def _print_score(title: str, score: Score) -> None:
    print_section(
        title,
        [
            (
                f"precision {_share(score.precision)}, recall {_share(score.recall)}, F1 {_share(score.f1)}: "
                f"{score.hits:,} hits, {score.false_alerts:,} false alerts, {score.duplicates:,} repeated, "
                f"{score.neutral:,} neither right nor wrong"
            ),
            (
                f"worth a message: precision {_share(score.worth_precision)}, recall {_share(score.worth.recall)}, "
                f"F1 {_share(score.worth_f1)}"
            ),
            (
                f"{_number(score.false_per_1000_statements_and_day)} false alerts per 1,000 statements and day "
                f"({score.statements:,} statements, {_number(score.days)} days)"
            ),
            *(f"false alerts, {kind}: {count:,}" for kind, count in score.false_by_kind.items()),
        ],
    )
    rows: list[Sequence[Cell]] = [
        _found_cells("all", score.regressions),
        _found_cells("from 10 s per hour", score.material),
        *_rows(score.by_size),
        *_rows(score.by_kind),
        _found_cells("slow instances", score.instances),
    ]
    print_table(_FOUND, rows, "no events")
    print_line(
        f"{score.false_instances:,} alerts on instances or databases that were not slow; delays are in intervals"
    )


def _rows(groups: Mapping[str, Found]) -> list[Sequence[Cell]]:
    return [_found_cells(name, found) for name, found in groups.items()]


def _found_cells(name: str, found: Found) -> Sequence[Cell]:
    return (name, found.events, found.found, _share(found.recall), found.delay_median, found.delay_p90)


def _print_comparison(found: Comparison, against: str) -> None:
    same = len(found.both) - found.earlier - found.later
    print_section(
        f"Against {against}",
        [
            (
                f"both tell of {len(found.both):,} troubles: {found.earlier:,} earlier there, {found.later:,} later, "
                f"{same:,} at the same moment"
            ),
            f"alerts only here: {len(found.only_first):,}; only there: {len(found.only_second):,}",
            *(
                f"later by {duration_words(pair.delay.total_seconds())}: {_line(pair.first)}"
                for pair in sorted(found.both, key=lambda pair: -pair.delay)[:_SHOWN]
                if pair.delay.total_seconds() > 0
            ),
        ],
    )
    print_section("Only with these settings", _lines(found.only_first))
    print_section(f"Only with {against}", _lines(found.only_second))


def _lines(notifications: Sequence[Notification]) -> list[str]:
    shown = [_line(one) for one in notifications[:_SHOWN]]
    more = len(notifications) - len(shown)
    return [*shown, f"... and {more:,} more"] if more else shown


def _line(one: Notification) -> str:
    incident = one.incident
    statement = f" {hash_words(incident.query_hash)}" if incident.query_hash else ""
    what = f"{incident.label.value}, {incident.severity.value}"
    return f"{moment_words(one.raised_at)}  {place(incident)}{statement}  {what}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")
