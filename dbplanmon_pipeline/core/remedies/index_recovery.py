"""Bringing back an index that a former plan used: the scripts, what they cost, and what they cannot know."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.remedies.index_ddl import IndexScripts, index_scripts
from dbplanmon_pipeline.core.remedies.lost_indexes import LostIndex, lost_indexes
from dbplanmon_pipeline.core.remedies.suggestion_drafts import Draft, SuggestionKind
from dbplanmon_pipeline.core.sqlnames import quote_name
from dbplanmon_pipeline.core.statements.tsql import MASK, tsql_tokens


def index_recovery(
    incident: Incident, old: CapturedPlan | None, new: CapturedPlan | None, dialect: Engine
) -> Iterator[Draft]:
    """Drafts for the indexes that the old plan used and that are not there any more, as far as known how they were.

    Args:
        incident: of one statement.
        old: its former plan.
        new: its present plan.
        dialect: whose SQL the scripts are in.
    """
    use = f"USE {quote_name(incident.database, dialect)};\n" if dialect == Engine.SQLSERVER else ""
    of_partitions: dict[str, list[tuple[LostIndex, IndexScripts]]] = defaultdict(list)
    for lost in lost_indexes(incident, old, new):
        scripts = index_scripts(lost.definition, dialect)
        if scripts is None:
            continue
        if lost.of_partitions and not lost.disabled:
            of_partitions[lost.of_partitions].append((lost, scripts))
        else:
            yield _rebuild(lost, scripts, use) if lost.disabled else _recreate(lost, scripts, use)
    for found in of_partitions.values():
        yield _recreate_all(found) if len(found) > 1 else _recreate(*found[0], use)


def _recreate_all(found: Sequence[tuple[LostIndex, IndexScripts]]) -> Draft:
    """One way back for an index that partitions of a table lost together."""
    name = found[0][0].name
    return Draft(
        SuggestionKind.RECREATE_INDEX,
        "medium",
        f"The former plan read {len(found)} partitions of a table through indexes like {name}, which are gone. "
        "Recreating them as they were gives the former plan back. They are built without blocking writes, one after "
        "the other, cannot run inside a transaction, and need disk space and I/O. For partitions that are yet to "
        "come, create the index on the table itself with ON ONLY, and attach these to it.",
        "\n".join(scripts.create for _, scripts in found),
        "\n".join(scripts.drop for _, scripts in found),
    )


def _recreate(lost: LostIndex, scripts: IndexScripts, use: str) -> Draft:
    cost = (
        "Writes to the table wait while it is built: take a quiet hour, or build online where the edition can."
        if scripts.blocks_writes
        else "It is built without blocking writes, cannot run inside a transaction, and needs disk space and I/O."
    )
    return Draft(
        SuggestionKind.RECREATE_INDEX,
        "high" if scripts.blocks_writes else "medium",
        f"The former plan read {scripts.table} through the index {lost.name}, which is gone. Recreating it "
        f"as it was gives the former plan back. {cost}{_caveats(lost, use)}",
        f"{use}{scripts.create}",
        f"{use}{scripts.drop}",
    )


def _rebuild(lost: LostIndex, scripts: IndexScripts, use: str) -> Draft:
    place = scripts.drop.removeprefix("DROP INDEX ").removesuffix(";")
    return Draft(
        SuggestionKind.RECREATE_INDEX,
        "high",
        f"The former plan read {scripts.table} through the index {lost.name}, which is disabled. Building it anew "
        "gives the former plan back. Writes to the table wait meanwhile: take a quiet hour, or build online where the "
        "edition can. Find out first why it was disabled.",
        f"{use}ALTER INDEX {place} REBUILD;",
        f"{use}ALTER INDEX {place} DISABLE;",
    )


def _caveats(lost: LostIndex, use: str) -> str:
    """What the script cannot know; storage only of an engine whose definitions we put together ourselves."""
    words = (
        " Options of storage, such as compression, fill factor and partitions, are not known: compare." if use else ""
    )
    if any(MASK in text for kind, text, _, _ in tsql_tokens(lost.definition) if kind in ("plain", "other")):
        words += f" The values in its definition are masked with {MASK}; put them in before you run this."
    if use and lost.known_from:
        words += f" The definition is that of {lost.known_from}, where the former plan was seen first."
    return words
