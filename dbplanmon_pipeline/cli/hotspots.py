"""`dbplanmon hotspots`: where the time goes."""

from datetime import timedelta

import click

from dbplanmon_pipeline.cli.invocation import Invocation, json_option, pass_invocation, read_span
from dbplanmon_pipeline.cli.output import print_json, print_line, print_table
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import moment_words, one_line
from dbplanmon_pipeline.core.ports import Hotspot
from dbplanmon_pipeline.core.records import hotspot_record
from dbplanmon_pipeline.core.workload.words import busier_record, busier_words, growth_record, growth_words
from dbplanmon_pipeline.services.rank_hotspots import HotspotReport, rank_hotspots

RANKINGS = {
    "elapsed": "elapsed_time_us",
    "cpu": "worker_time_us",
    "reads": "logical_reads_pages",
    "combined": "combined",
}
STATEMENT_LIMIT = 100


@click.command()
@click.option(
    "--window", metavar="DURATION", callback=read_span, help="Stretch to rank, such as 1h; default: settings."
)
@click.option("--top", type=click.IntRange(1, 1000), metavar="N", help="How many; default: settings.")
@click.option("--by", "ranking", type=click.Choice(list(RANKINGS)), default="elapsed", show_default=True)
@json_option
@pass_invocation
def hotspots(invocation: Invocation, window: timedelta | None, top: int | None, ranking: str, as_json: bool) -> None:
    """Rank the statements that cost most in the window that ends with the newest reading."""
    from dbplanmon_pipeline.composition.detectors import workload_policy  # noqa: PLC0415 - likewise
    from dbplanmon_pipeline.composition.fingerprints import stored_fingerprint  # noqa: PLC0415 - see `Invocation.session`

    with invocation.session() as session:
        chosen = session.settings.hotspots
        report = rank_hotspots(
            session.store,
            window=window or chosen.window,
            top_n=top or chosen.top_n,
            workload=workload_policy(session.settings),
        )
        found = [hotspot for hotspot in report.hotspots if hotspot.rank_by == RANKINGS[ranking]]
        settings, texts = (
            session.settings,
            session.store.statement_texts([(hotspot.ref, hotspot.query_hash) for hotspot in found]),
        )
    ranked = [(h, texts[h.ref, h.query_hash].text if (h.ref, h.query_hash) in texts else "") for h in found]
    if as_json:
        print_json(
            {
                "window_start": report.window_start,
                "window_end": report.window_end,
                "rank_by": RANKINGS[ranking],
                "hotspots": [
                    hotspot_record(hotspot, text)
                    | {
                        "fingerprint": stored_fingerprint(settings, hotspot.ref.instance, text),
                        "growth": growth_record(report.workload.of(hotspot.ref, hotspot.query_hash)),
                    }
                    for hotspot, text in ranked
                ],
                "busier": [busier_record(one) for one in report.workload.instances],
            }
        )
    else:
        _print(report, ranked)


def _print(report: HotspotReport, ranked: list[tuple[Hotspot, str]]) -> None:
    if report.window_start is None or report.window_end is None:
        print_line("nothing recorded yet: run dbplanmon collect, twice at least")
        return
    print_line(f"{moment_words(report.window_start)} to {moment_words(report.window_end)}")
    print_table(
        ("#", "database", "query", "seconds", "CPU s", "reads", "executions", "share", "why it grew", "statement"),
        [
            (
                h.rank,
                str(h.ref),
                hash_text(h.query_hash),
                h.elapsed_time_us / 1e6,
                h.worker_time_us / 1e6,
                h.logical_reads_pages,
                h.execution_count,
                f"{h.share:.1%}",
                _why(report, h),
                one_line(text, STATEMENT_LIMIT),
            )
            for h, text in ranked
        ],
        empty="nothing ran in this window",
    )
    for busier in report.workload.instances:
        print_line(one_line(busier_words(busier)))


def _why(report: HotspotReport, hotspot: Hotspot) -> str:
    found = report.workload.of(hotspot.ref, hotspot.query_hash)
    return growth_words(found) if found else ""
