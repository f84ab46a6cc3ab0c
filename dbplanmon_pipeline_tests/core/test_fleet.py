from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.fleet import WHOLE_INSTANCE, watched
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.figures import DatabaseState

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CADENCE = timedelta(minutes=5)


def state(database: str, ago: timedelta) -> DatabaseState:
    return DatabaseState(DatabaseRef("pg", database), NOW - ago, None)


def names(*states: DatabaseState) -> list[str]:
    return [found.ref.database for found in watched(states, (), {"pg": True}, CADENCE)]


def test_database_that_discovery_lists_no_longer_is_waited_for_an_hour():
    assert names(state("a", timedelta()), state("b", timedelta(hours=1))) == ["a", "b"]
    assert names(state("a", timedelta()), state("b", timedelta(hours=1, seconds=1))) == ["a"]


def test_instance_that_could_not_be_listed_counts_until_it_can_be():
    assert names(state("a", CADENCE), state(WHOLE_INSTANCE, timedelta())) == [WHOLE_INSTANCE, "a"]
    assert names(state("a", timedelta()), state(WHOLE_INSTANCE, CADENCE)) == ["a"]
