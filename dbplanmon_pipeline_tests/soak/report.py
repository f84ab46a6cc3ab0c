"""The verdict of a run, and its page in Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from dbplanmon_pipeline_tests.soak.logwatch import Complaint
from dbplanmon_pipeline_tests.soak.measure import growth
from dbplanmon_pipeline_tests.soak.plan import OF_TARGETS, OURS, Trouble
from dbplanmon_pipeline_tests.soak.run import Record

GRACE_SECONDS = 150.0
"""How long after the end of a fault it may still be spoken of: a run that could not be started is given up after 120 s,
which is looked at every 30 s."""

WARM_UP = 0.2
MOST_GROWTH = 0.05
LONG_ENOUGH_SECONDS = 20 * 60
"""Below, memory is told but not judged: a start is still going on."""

TRUE_WORK = "recorded work is true work, per database, statement and plan"
RECOVERED = "the last collection runs went well"
STOPPED = "SIGTERM ends everything within 10 s"
OF_SERVERS = (*OF_TARGETS, Trouble.SERVER_RESTART)
STOP_WORDS = ("RUN_CANCELED", "STEP_FAILURE", "interrupt", "Interrupt")
TARGET_WORDS = ("simulated server", "targets could not be read", "left alone")
BLIND_WORDS = ("STEP_FAILURE", "RUN_FAILURE")


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim about the run."""

    claim: str
    holds: bool
    detail: str


def verdict(record: Record) -> list[Finding]:
    """All claims."""
    wrong = [one for one in record.comparisons if one.wrong]
    unfinished = [run for run in record.runs if run.status not in ("QUEUED", "SUCCESS", "FAILURE", "CANCELED")]
    unexplained = [one for one in complaints(record) if not explained(one, record)]
    doubles = [count for count in record.alerts.values() if count > 1]
    grown = dict(_growth(record))
    judged = record.plan.seconds >= LONG_ENOUGH_SECONDS
    return [
        Finding(
            TRUE_WORK,
            not wrong and bool(record.comparisons),
            f"{len(record.comparisons) - len(wrong)} of {len(record.comparisons)} databases; "
            + "; ".join(f"{one.ref}: {one.wrong}" for one in wrong[:3]),
        ),
        Finding("no run is left in progress", not unfinished, f"{len(unfinished)} of {len(record.runs)}"),
        Finding(
            "every error line is explained by a fault",
            not unexplained,
            f"{len(unexplained)} of {len(complaints(record))} lines are not"
            + "".join(f"; {one.text}" for one in unexplained[:1]),
        ),
        Finding(
            "memory of the processes that stay grows by less than 5 %",
            not judged or all(share < MOST_GROWTH for share in grown.values()),
            ", ".join(f"{role} {share:+.1%}" for role, share in grown.items()) + ("" if judged else " (not judged)"),
        ),
        Finding(
            STOPPED,
            record.stop_seconds < 10 and not record.left and record.exit_code == 0,
            f"{record.stop_seconds:.1f} s, {len(record.left)} processes left",
        ),
        Finding(RECOVERED, _recovered(record), ""),
        Finding("no alert was sent twice", not doubles, f"{len(record.alerts)} alerts, {len(doubles)} twice"),
    ]


def complaints(record: Record) -> list[Complaint]:
    """Lines of all logs that tell of errors."""
    return [one for log in record.logs for one in log.complaints]


def explained(one: Complaint, record: Record) -> bool:
    """True where a fault of our own side was on or just over, or the line tells of one of a target, or of the stop."""
    if one.seconds >= record.stopped and any(word in one.text for word in STOP_WORDS):
        return True
    for injection in record.plan.injections:
        near = injection.begins <= one.seconds <= injection.ends + GRACE_SECONDS
        if near and injection.kind in OURS:
            return True
        if near and injection.kind in OF_SERVERS and any(word in one.text for word in TARGET_WORDS):
            return True
        if near and injection.kind in OF_SERVERS and not injection.databases and _tells_of_blindness(one):
            return True
    return False


def _tells_of_blindness(one: Complaint) -> bool:
    """A collection that a whole server did not answer may see too little, and fails then, as it should."""
    return "collection_job" in one.text and any(word in one.text for word in BLIND_WORDS)


def _recovered(record: Record) -> bool:
    ended = [run for run in record.runs if run.job == "collection_job" and run.ended]
    newest = sorted(ended, key=lambda run: run.ended or 0.0)[-3:]
    return any(run.status == "SUCCESS" for run in newest)


def _growth(record: Record) -> Iterator[tuple[str, float]]:
    roles = sorted({role for sample in record.samples for role in sample.memory_mb})
    whole = record.began + record.plan.seconds
    for role in roles:
        share = growth(record.samples, role, record.began + WARM_UP * record.plan.seconds, whole + record.began)
        if share is not None:
            yield role, share


def page(record: Record) -> str:
    """Everything, in Markdown."""
    plan = record.plan
    parts = [
        f"# Soak run of {plan.seconds / 60:.0f} minutes, {plan.started_at:%Y-%m-%d %H:%M} UTC",
        f"{len(plan.instances)} simulated instances x {plan.databases} databases x {plan.statements} statements.",
        _table(
            ("claim", "holds", "detail"), [(f.claim, "yes" if f.holds else "**NO**", f.detail) for f in verdict(record)]
        ),
        "## Faults",
        _table(
            ("kind", "from", "to", "where"),
            [
                (i.kind, f"{i.begins:.0f} s", f"{i.ends:.0f} s", _where(i.instance, i.databases))
                for i in plan.injections
            ],
        ),
        "## What happened",
        "\n".join(f"- {note}" for note in record.notes),
        "## Runs",
        _table(("job", "status", "runs", "median", "longest"), _run_rows(record)),
        f"Longest gap in the collection log: {record.longest_gap_minutes:.1f} minutes.",
        "## Ticks",
        _table(
            ("schedule or sensor", "status", "ticks"), [(*key, count) for key, count in sorted(record.ticks.items())]
        ),
        "## Measured",
        _samples(record),
        "## Lines that tell of errors",
        _lines(record),
    ]
    return "\n\n".join(parts) + "\n"


def _where(instance: str, databases: tuple[str, ...]) -> str:
    return f"{instance}, {len(databases)} databases" if databases else instance


def _run_rows(record: Record) -> list[tuple[object, ...]]:
    grouped: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in record.runs:
        grouped[run.job, run.status].append(run.duration or 0.0)
    return [(*key, len(took), f"{median(took):.1f} s", f"{max(took):.1f} s") for key, took in sorted(grouped.items())]


def _samples(record: Record) -> str:
    roles = sorted({role for sample in record.samples for role in sample.memory_mb})
    counts = list(dict.fromkeys(name for sample in record.samples for name in sample.counts))
    header = ("second", *(f"{role} MB" for role in roles), "processes", *counts)
    rows = [
        (
            f"{one.seconds:.0f}",
            *(f"{one.memory_mb[role]:.0f}" if role in one.memory_mb else "" for role in roles),
            one.processes,
            *(f"{one.counts[name]:,.0f}" if name in one.counts else "" for name in counts),
        )
        for one in record.samples
    ]
    return _table(header, rows)


def _lines(record: Record) -> str:
    shown = Counter((explained(one, record), one.level, one.text[:200]) for one in complaints(record))
    rows = [
        ("yes" if known else "**NO**", level, count, text)
        for (known, level, text), count in sorted(shown.items(), key=lambda item: (item[0][0], -item[1]))
    ]
    return _table(("explained", "level", "times", "line"), rows[:80]) if rows else "None."


def _table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)
