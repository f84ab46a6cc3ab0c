import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from dbplanmon_pipeline.errors import CannotConnect, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver import sqltext
from dbplanmon_pipeline.providers.sqlserver.conversion import bound, from_datetimeoffset
from dbplanmon_pipeline.providers.sqlserver.failures import native_number
from dbplanmon_pipeline.providers.sqlserver.gate import ConnectionGate
from dbplanmon_pipeline.providers.sqlserver.session import CANCELLED, OUT_OF_TIME, connect
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import (
    TARGET,
    after,
    answering,
    budget,
    eventually,
    one_row,
    session_to,
    settings_of,
)
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.tds import Delay, Request, Result, TdsServer

MANY = Result([("n", "int"), ("t", "nvarchar(50)")], [(number, f"row {number}") for number in range(2500)])
SLOW = Delay(30, one_row())
DEAF = Delay(4, one_row(), ignore_attention=True)


def _naive(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
def server():
    with TdsServer(answering(MANY=MANY, SLOW=SLOW, DEAF=DEAF, ONE=one_row())) as running:
        yield running


def test_rows_are_plain_tuples_in_their_order(driver, server):
    with session_to(server, driver) as session:
        rows = session.rows("SELECT MANY")

    assert rows == [(number, f"row {number}") for number in range(2500)]
    assert {type(row) for row in rows} == {tuple}


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (1000, 1000), (1001, 1001), (2500, 2500), (9999, 2500)])
def test_a_limit_bounds_the_rows(driver, server, limit, count):
    with session_to(server, driver) as session:
        assert len(session.rows("SELECT MANY", limit=limit)) == count
        assert session.rows("SELECT ONE") == [(1,)], "what was not fetched is out of the way"


def test_no_rows_and_no_result_are_both_empty(driver):
    with TdsServer(answering(NONE=Result([("a", "int")], []))) as server, session_to(server, driver) as session:
        assert session.rows("SELECT NONE") == []
        assert session.rows("SET NOTHING") == []


def test_types_arrive_as_promised(driver):
    plan_id = UUID("0d5f1c36-7a2b-4e67-9a4e-5f0a3b0f9c11")
    zone = timezone(timedelta(hours=-5, minutes=-30))
    cells = [
        (
            "datetimeoffset(7)",
            datetime(2026, 3, 1, 22, 30, 0, 123456, zone),
            datetime(2026, 3, 2, 4, 0, 0, 123456, UTC),
        ),
        ("datetime2(7)", _naive(2026, 3, 1, 22, 30, 0, 123456), datetime(2026, 3, 1, 22, 30, 0, 123456, UTC)),
        ("datetime", _naive(2026, 3, 1, 22, 30, 0, 120000), datetime(2026, 3, 1, 22, 30, 0, 120000, UTC)),
        ("date", date(2026, 3, 1), date(2026, 3, 1)),
        ("binary(8)", b"\x00\x01\xff\x7f\x80\x00\x10\x20", b"\x00\x01\xff\x7f\x80\x00\x10\x20"),
        ("varbinary(64)", b"\x06\x00", b"\x06\x00"),
        ("uniqueidentifier", plan_id, str(plan_id).upper()),
        ("bigint", 2**62, 2**62),
        ("float", 12345.678, 12345.678),
        ("decimal(38,0)", Decimal("9" * 38), Decimal("9" * 38)),
        ("bit", True, True),
        ("nvarchar(max)", "Ünïcödé €", "Ünïcödé €"),
    ]
    columns = [(f"c{index}", sql_type) for index, (sql_type, _, _) in enumerate(cells)]
    result = Result(columns, [tuple(sent for _, sent, _ in cells), (None,) * len(cells)])

    with TdsServer(answering(TYPES=result)) as server, session_to(server, driver) as session:
        first, second = session.rows("SELECT TYPES")

    assert first == tuple(expected for _, _, expected in cells)
    assert [type(value) for value in first] == [type(expected) for _, _, expected in cells]
    assert {value.utcoffset() for value in first[:3]} == {timedelta(0)}
    assert second == (None,) * len(cells)


def test_a_plan_of_five_megabytes_arrives_whole(driver):
    plan = "<Plan>" + "ä" * 5_000_000 + "</Plan>"
    with TdsServer(answering(PLAN=one_row(plan, "nvarchar(max)"))) as server, session_to(server, driver) as session:
        assert session.rows("SELECT PLAN") == [(plan,)]


def test_parameters_arrive_bound_and_moments_as_utc(driver, server):
    moment = datetime(2026, 3, 1, 12, 0, 0, 250000, timezone(timedelta(hours=2)))
    values = (7, 2**40, "O'Brien", b"\x01\x02", moment, Decimal("1.50"), True)

    with session_to(server, driver) as session:
        session.rows("SELECT ONE WHERE a = ? AND b = ? AND c = ? AND d = ? AND e = ? AND f = ? AND g = ?", values)

    _, sql, sent = next(call for call in server.log if "ONE" in call[1])
    assert "O'Brien" not in sql
    assert sent == [7, 2**40, "O'Brien", b"\x01\x02", _naive(2026, 3, 1, 10, 0, 0, 250000), Decimal("1.50"), True]


def test_a_moment_without_a_zone_cannot_be_bound():
    with pytest.raises(ValueError, match="without a time zone"):
        bound([_naive(2026, 3, 1)])


def test_a_moment_with_a_negative_offset_is_read_right():
    raw = b"".join(number.to_bytes(2, "little", signed=True) for number in (2026, 1, 1, 0, 15, 0))
    raw += (999_999_900).to_bytes(4, "little") + b"".join(n.to_bytes(2, "little", signed=True) for n in (-3, -30))

    assert from_datetimeoffset(raw) == datetime(2026, 1, 1, 3, 45, 0, 999_999, UTC)


def test_a_session_is_prepared_once_to_wait_for_nobody(driver, server):
    with session_to(server, driver) as session:
        session.rows("SELECT ONE")
        session.rows("SELECT ONE")

    prepared = [sql for _, sql, _ in server.log if "LOCK_TIMEOUT" in sql]
    assert len(prepared) == 1
    for words in ("/* dbplanmon */", "NOCOUNT ON", "LOCK_TIMEOUT 1000", "READ UNCOMMITTED", "DEADLOCK_PRIORITY LOW"):
        assert words in prepared[0]


def test_cost_is_the_time_spent_waiting_for_the_server(driver):
    with TdsServer(answering(NAP=Delay(0.2, one_row()))) as server, session_to(server, driver) as session:
        before = session.cost_ms
        session.rows("SELECT NAP")
        cost = session.cost_ms - before

    assert 190 < cost < 10_000


def test_a_spent_budget_stops_the_statement_and_the_session(driver, server):
    time_left = Hourglass()
    with session_to(server, driver, time_left=time_left.budget) as session:
        time_left.leave(0.3)
        began = time.monotonic()
        with pytest.raises(QueryTimedOut, match=OUT_OF_TIME) as caught:
            session.rows("SELECT SLOW")
        lasted = time.monotonic() - began

        assert lasted < 15
        assert not session.alive
        assert not session.cancelled
        with pytest.raises(QueryTimedOut, match=OUT_OF_TIME):
            session.rows("SELECT ONE")

    assert caught.value.target == TARGET
    assert native_number(caught.value) is None
    assert "SELECT ONE" not in [sql for _, sql, _ in server.log]


def test_a_slow_statement_leaves_the_session_usable(driver, server):
    with session_to(server, driver) as session:
        session.limit_statements(0.3)
        began = time.monotonic()
        with pytest.raises(QueryTimedOut, match=r"ran longer than 0\.3 s"):
            session.rows("SELECT SLOW")
        lasted = time.monotonic() - began
        again = session.rows("SELECT ONE")

    assert 0.3 <= lasted < 15
    assert again == [(1,)]


def test_a_limit_above_the_budget_is_the_budget(driver, server):
    time_left = Hourglass()
    with session_to(server, driver, time_left=time_left.budget) as session:
        time_left.leave(0.3)
        session.limit_statements(60)
        with pytest.raises(QueryTimedOut, match=OUT_OF_TIME):
            session.rows("SELECT SLOW")


def test_a_cancelled_run_stops_the_statement_within_a_second(driver, server):
    stop = threading.Event()
    with session_to(server, driver, cancelled=stop.is_set) as session, after(0.3, stop.set):
        began = time.monotonic()
        with pytest.raises(QueryTimedOut, match=CANCELLED):
            session.rows("SELECT SLOW")
        lasted = time.monotonic() - began

        assert session.cancelled
    assert lasted < 15


def test_an_interrupt_from_another_thread_returns_within_a_second_and_touches_nobody_else(driver, server):
    took = []
    with session_to(server, driver) as session, session_to(server, driver) as other:

        def interrupt() -> None:
            began = time.monotonic()
            session.interrupt(CANCELLED)
            took.append(time.monotonic() - began)

        with after(0.3, interrupt):
            began = time.monotonic()
            with pytest.raises(QueryTimedOut, match=CANCELLED):
                session.rows("SELECT SLOW")
            lasted = time.monotonic() - began

        assert other.rows("SELECT ONE") == [(1,)]
        assert not session.alive
        assert session.cancelled
    assert lasted < 15
    assert took[0] < 15


def test_an_idle_session_that_was_interrupted_takes_no_statement(driver, server):
    with session_to(server, driver) as session:
        session.interrupt(CANCELLED)
        with pytest.raises(QueryTimedOut, match=CANCELLED):
            session.rows("SELECT ONE")


def test_an_interrupt_between_many_rows_is_no_success(driver, server):
    # Microsoft's driver ends a cancelled statement as one that succeeded.
    def read_on(session) -> None:
        while True:
            assert len(session.rows("SELECT MANY")) == 2500

    with session_to(server, driver) as session, after(0.2, lambda: session.interrupt(CANCELLED)):  # noqa: SIM117
        with pytest.raises(QueryTimedOut, match=CANCELLED):
            read_on(session)


def test_a_server_that_ignores_the_cancelling_is_left_behind(driver, server):
    gate, time_left = ConnectionGate(2), Hourglass()
    with session_to(server, driver, time_left=time_left.budget, gate=gate) as session:
        time_left.leave(0.3)
        with pytest.raises(QueryTimedOut, match=OUT_OF_TIME):
            session.rows("SELECT DEAF")
        assert gate.taken == 1, "the driver still waits"
    assert gate.taken == 1, "it still is a connection"
    with session_to(server, driver, gate=gate) as other:
        assert other.rows("SELECT ONE") == [(1,)]
    assert eventually(lambda: gate.taken == 0), "closed when the driver came back"
    assert eventually(lambda: server.open_connections == 0)


def test_a_statement_that_ignores_its_limit_ends_the_session_as_a_timeout(driver, server):
    with session_to(server, driver) as session:
        session.limit_statements(0.2)
        with pytest.raises(QueryTimedOut, match="ran longer"):
            session.rows("SELECT DEAF")

        assert not session.alive
        with pytest.raises(CannotConnect, match="connection was lost"):
            session.rows("SELECT ONE")


def test_close_frees_the_connection(driver, server):
    with session_to(server, driver) as session:
        assert server.open_connections == 1

    assert eventually(lambda: server.open_connections == 0)
    assert not session.alive
    session.close()


def test_a_closed_session_refuses_statements(driver, server):
    with session_to(server, driver) as session:
        pass

    with pytest.raises(CannotConnect):
        session.rows("SELECT ONE")


class Crowd:
    """A handler that knows how many of its clients were there at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._guard = threading.Lock()

    def __call__(self, request: Request) -> Result:
        with self._guard:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.05)
        with self._guard:
            self._now -= 1
        return one_row()


def test_the_gate_bounds_the_connections_of_a_provider(driver):
    gate, crowd = ConnectionGate(3), Crowd()
    with TdsServer(crowd) as server:

        def read() -> None:
            with session_to(server, driver, gate=gate) as session:
                session.rows("SELECT ONE")

        threads = [threading.Thread(target=read) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert len(server.logins) == 12
        assert crowd.most == 3
        assert eventually(lambda: gate.taken == 0)


def test_waiting_at_the_gate_ends_with_the_budget(driver, server):
    gate = ConnectionGate(1)
    with session_to(server, driver, gate=gate):
        began = time.monotonic()
        with pytest.raises(QueryTimedOut, match="none of 1 connections became free") as caught:
            connect(settings_of(server, driver), "shop", TARGET, budget(0.3), gate)

    assert 0.3 <= time.monotonic() - began < 30
    assert native_number(caught.value) is None
    assert caught.value.remedy


def test_waiting_at_the_gate_ends_when_the_run_is_cancelled(driver, server):
    gate = ConnectionGate(1)
    stop = threading.Event()
    with session_to(server, driver, gate=gate), after(0.2, stop.set), pytest.raises(QueryTimedOut, match=CANCELLED):
        connect(settings_of(server, driver), "shop", TARGET, budget(10, stop.is_set), gate)


def test_a_refused_connection_gives_its_place_back(driver):
    gate = ConnectionGate(1)
    with TdsServer(answering()) as server:
        port = server.port
    with pytest.raises(CannotConnect):
        connect(settings_of(port, driver, connect_timeout=1.0), "shop", TARGET, budget(), gate)

    assert eventually(lambda: gate.taken == 0)


def test_without_a_budget_nobody_connects(driver, server):
    with pytest.raises(QueryTimedOut, match=OUT_OF_TIME):
        connect(settings_of(server, driver), "shop", TARGET, budget(0.0))

    assert server.peak_connections == 0


def test_a_gate_for_nobody_is_refused():
    with pytest.raises(ValueError, match="lets nobody in"):
        ConnectionGate(0)


@pytest.fixture
def sql_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sqltext, "files", lambda _: tmp_path)
    sqltext.statement.cache_clear()
    sqltext.statement_in.cache_clear()
    (tmp_path / "sql").mkdir()
    yield tmp_path / "sql"
    sqltext.statement.cache_clear()
    sqltext.statement_in.cache_clear()


def test_a_list_of_values_becomes_parameters(sql_folder):
    (sql_folder / "one.sql").write_text("-- Purpose: p.\nSELECT a FROM b WHERE c IN ({ids})\n", encoding="utf-8")

    assert sqltext.statement_in("one", 3) == ("-- Purpose: p.\nSELECT /* dbplanmon */ a FROM b WHERE c IN (?, ?, ?)\n")


def test_only_the_first_word_of_a_statement_bears_the_mark(sql_folder):
    (sql_folder / "one.sql").write_text("-- SELECT\nSELECT a\nFROM (\nSELECT b\n) AS c\n", encoding="utf-8")

    assert sqltext.statement("one") == "-- SELECT\nSELECT /* dbplanmon */ a\nFROM (\nSELECT b\n) AS c\n"


@pytest.mark.parametrize("count", [0, -1, 2001])
def test_a_list_of_no_or_too_many_values_is_refused(sql_folder, count):
    (sql_folder / "one.sql").write_text("SELECT a FROM b WHERE c IN ({ids})", encoding="utf-8")

    with pytest.raises(ValueError, match="1 to 2000"):
        sqltext.statement_in("one", count)


@pytest.mark.parametrize("text", ["SELECT a FROM b", "SELECT a FROM b WHERE c IN ({ids}) OR d IN ({ids})"])
def test_a_statement_with_another_number_of_lists_is_refused(sql_folder, text):
    (sql_folder / "one.sql").write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match="no single place"):
        sqltext.statement_in("one", 2)
