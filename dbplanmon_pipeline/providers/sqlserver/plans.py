"""Plans and texts by stored number: sizes first, then batches of bounded bytes, each distinct plan once."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.core.plans.showplan.redact import redact_showplan
from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals, statement_kind
from dbplanmon_pipeline.errors import PlanParseError, ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.plan_cache import CachedStatement
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import MARKER, statement

MEGABYTE = 1_000_000
BATCH_BYTES = 4 * MEGABYTE
MOST_PLAN_BYTES = 32 * MEGABYTE
MOST_TEXT_CHARACTERS = 100_000

ESTIMATED, CACHED = "estimated", "cached"
"""Values of `CapturedPlan.origin`: from Query Store, from the plan cache."""

GONE_FROM_STORE = "it is no longer in Query Store"
GONE_FROM_CACHE = "it has left the plan cache"
NOT_KEPT = "the server keeps no plan of it"


class AnsweredPlans:
    """Plans that crossed the wire already; shared by the readers of a provider.

    The databases of tenants share most plans. A plan read for one of them is in the store afterwards, so the others
    need not read it. A database that asks for it a second time has waited in vain and gets it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._askers: dict[int, set[str]] = {}

    def wanted(self, plan_hash: int, database: str) -> bool:
        """True where the plan shall be read for this database."""
        with self._guard:
            askers = self._askers.setdefault(plan_hash, set())
            first = not askers or database in askers
            askers.add(database)
            return first

    def failed(self, plan_hash: int) -> None:
        """It could not be read: let the next one try."""
        with self._guard:
            self._askers.pop(plan_hash, None)


@dataclass(frozen=True, slots=True)
class PlanSize:
    """A plan in Query Store before it is sent; `size_bytes` is None where the server keeps no plan."""

    plan_id: int
    plan_hash: int
    size_bytes: int | None
    compatibility: int | None


def batches(sizes: Sequence[PlanSize], batch_bytes: int = BATCH_BYTES) -> Iterator[list[PlanSize]]:
    """In this order, together at most `batch_bytes`, or one plan alone."""
    batch: list[PlanSize] = []
    for size in sizes:
        if batch and sum(one.size_bytes or 0 for one in batch) + (size.size_bytes or 0) > batch_bytes:
            yield batch
            batch = []
        batch.append(size)
    if batch:
        yield batch


def unreadable(size_bytes: int | None, most_bytes: int = MOST_PLAN_BYTES) -> str:
    """Why a plan of this size is not read; empty where it is."""
    if not size_bytes:
        return NOT_KEPT
    if size_bytes > most_bytes:
        return f"it takes {size_bytes / MEGABYTE:.0f} MB, more than {most_bytes // MEGABYTE} MB"
    return ""


def no_plan(key: StatementKey, reason: str, *, lasting: bool = False) -> CapturedPlan:
    """An answer without a plan; it bears the hash of the plan where asking again would give the same answer."""
    return CapturedPlan(key.query_hash, key.plan_hash if lasting else 0, reason=f"no plan: {reason}")


def captured(key: StatementKey, body: str, origin: str, compatibility: int | None, *, redact: bool) -> CapturedPlan:
    """The plan without its literals; one that cannot be masked for sure is not kept."""
    try:
        kept = redact_showplan(body)
    except PlanParseError:
        return no_plan(key, "it cannot be read safely", lasting=True)
    context: dict[str, Any] = {"engine": "sqlserver"}
    if compatibility is not None:
        context["compatibility"] = compatibility
    return CapturedPlan(
        key.query_hash,
        key.plan_hash,
        format="showplan",
        body=kept if redact else body,
        origin=origin,
        context=context,
    )


def statement_text(query_hash: int, text: str | None, *, redact: bool) -> StatementText | None:
    """The text without its literals; None where the server hides it, or where it is ours."""
    if not text or MARKER in text:
        return None
    return StatementText(query_hash, mask_tsql_literals(text) if redact else text, statement_kind(text))


class CachedTexts:
    """Texts of cached plans, each read once per connection."""

    def __init__(self, session: Session, places: Mapping[str, CachedStatement]) -> None:
        self._session = session
        self._places = places
        self._known: dict[str, tuple[str | None, bool]] = {}

    def of(self, counter: str) -> tuple[str | None, bool]:
        """The text of a counter, None where it is gone or hidden, and whether its batch is ours.

        Raises:
            ProviderError: the connection broke, or the time is up.
        """
        if counter not in self._known:
            self._known[counter] = self._read(self._places.get(counter))
        return self._known[counter]

    def _read(self, place: CachedStatement | None) -> tuple[str | None, bool]:
        if place is None:
            return None, False
        end = place.end_offset
        characters = (end - place.start_offset) // 2 + 1 if end >= 0 else MOST_TEXT_CHARACTERS
        first = place.start_offset // 2 + 1
        parameters = (first, min(characters, MOST_TEXT_CHARACTERS), place.plan_handle)
        rows = forgiving(self._session, lambda: self._session.rows(statement("cached_text"), parameters))
        if not rows:
            return None, False
        text, mark_position = rows[0]
        return text, bool(mark_position)


def forgiving(session: Session, ask: Callable[[], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """Rows; none where the server refuses a handle that has become invalid meanwhile.

    Raises:
        ProviderError: the connection broke, or the time is up.
    """
    try:
        return ask()
    except QueryTimedOut:
        raise
    except ProviderError:
        if not session.alive:
            raise
        return []
