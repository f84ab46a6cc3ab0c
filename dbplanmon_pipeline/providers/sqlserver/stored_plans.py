"""Plans and texts from Query Store, by the numbers of its plans."""

from collections.abc import Sequence

from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.core.readings.query_store import plan_id_of
from dbplanmon_pipeline.errors import QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.hashes import signed
from dbplanmon_pipeline.providers.sqlserver.plan_context import PlanContexts
from dbplanmon_pipeline.providers.sqlserver.plans import (
    BATCH_BYTES,
    ESTIMATED,
    GONE_FROM_STORE,
    MOST_PLAN_BYTES,
    MOST_TEXT_CHARACTERS,
    NOT_KEPT,
    AnsweredPlans,
    PlanSize,
    batches,
    captured,
    no_plan,
    statement_text,
    unreadable,
)
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement_in
from dbplanmon_pipeline.providers.sqlserver.value_lists import value_lists


def read_stored_texts(session: Session, keys: Sequence[StatementKey], *, redact: bool) -> list[StatementText]:
    """Texts of these statements; hidden ones and our own are left out.

    Raises:
        ProviderError: the server did not answer.
    """
    query_of = {plan_id_of(key.counter_key): key.query_hash for key in keys}
    found: dict[int, StatementText] = {}
    for plan_ids in value_lists(list(query_of)):
        rows = session.rows(statement_in("stored_texts", len(plan_ids)), (MOST_TEXT_CHARACTERS, *plan_ids))
        for plan_id, text in rows:
            kept = statement_text(query_of[plan_id], text, redact=redact)
            if kept is not None:
                found[kept.query_hash] = kept
    return list(found.values())


class StoredPlans:
    """Reads plans within the budget of one session.

    Args:
        session: open on the database.
        answered: plans that were read for other databases.
        redact: mask literals.
        batch_bytes / most_bytes: bounds of one batch and of one plan.
    """

    def __init__(
        self,
        session: Session,
        answered: AnsweredPlans,
        *,
        redact: bool,
        batch_bytes: int = BATCH_BYTES,
        most_bytes: int = MOST_PLAN_BYTES,
    ) -> None:
        self._session = session
        self._answered = answered
        self._redact = redact
        self._batch_bytes = batch_bytes
        self._most_bytes = most_bytes

    def read(self, keys: Sequence[StatementKey], database: str) -> list[CapturedPlan]:
        """Plans or reasons, as far as the budget reaches; without those answered for another database.

        What is known of their tables comes with them where the server tells it.

        Raises:
            ProviderError: the connection broke, or the run was cancelled.
        """
        wanted = [key for key in keys if self._answered.wanted(key.plan_hash, database)]
        answers: dict[int, CapturedPlan] = {}
        try:
            self._read_into(answers, wanted)
        except QueryTimedOut:
            if self._session.cancelled or not answers:
                raise
        finally:
            for key in wanted:
                if key.plan_hash not in answers or answers[key.plan_hash].reason:
                    self._answered.failed(key.plan_hash)
        return PlanContexts(self._session, database, redact=self._redact).added_to(list(answers.values()))

    def _read_into(self, answers: dict[int, CapturedPlan], keys: Sequence[StatementKey]) -> None:
        key_of = {plan_id_of(key.counter_key): key for key in keys}
        sizes = self._sizes(list(key_of))
        fitting = []
        for plan_id, key in key_of.items():
            size = sizes.get(plan_id)
            # Numbers start anew when Query Store is cleared: then they name another plan.
            gone = size is None or size.plan_hash != key.plan_hash
            reason = GONE_FROM_STORE if size is None or gone else unreadable(size.size_bytes, self._most_bytes)
            if reason or size is None:
                answers[key.plan_hash] = no_plan(key, reason, lasting=not gone)
            else:
                fitting.append(size)
        for batch in batches(fitting, self._batch_bytes):
            bodies = self._bodies([size.plan_id for size in batch])
            for size in batch:
                key, body = key_of[size.plan_id], bodies.get(size.plan_id)
                answers[key.plan_hash] = (
                    captured(key, body, ESTIMATED, size.compatibility, redact=self._redact)
                    if body
                    else no_plan(key, NOT_KEPT, lasting=True)
                )

    def _sizes(self, plan_ids: Sequence[int]) -> dict[int, PlanSize]:
        found = {}
        for wanted in value_lists(plan_ids):
            for plan_id, size_bytes, plan_hash, level in self._session.rows(
                statement_in("stored_plan_sizes", len(wanted)), wanted
            ):
                found[plan_id] = PlanSize(plan_id, signed(plan_hash), size_bytes, level)
        return found

    def _bodies(self, plan_ids: Sequence[int]) -> dict[int, str | None]:
        found: dict[int, str | None] = {}
        for wanted in value_lists(plan_ids):
            found.update(self._session.rows(statement_in("stored_plans", len(wanted)), wanted))
        return found
