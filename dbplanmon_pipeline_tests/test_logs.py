import io
import json
import logging
import time

import pytest

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.logs import configure_logging, places_of, scrub


@pytest.fixture
def stream():
    root, chatty = logging.getLogger(), [logging.getLogger(name) for name in ("httpx", "httpcore")]
    handlers, level, levels = list(root.handlers), root.level, [logger.level for logger in chatty]
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, before in zip(chatty, levels, strict=True):
        logger.setLevel(before)


LOG = logging.getLogger("dbplanmon_pipeline.collect")


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://bot:hunter2@db.example.net:5432/x",
        "postgresql+psycopg2://bot:hunter2@db/x failed",
        "postgresql://bot:p@ss/hunter2@db/x",
        "redis://:hunter2@cache",
        "postgresql://bot:it's+hunter2@db/x",
        "http://plain.example.net/a,http://u:hunter2@h",
        "host=db user=bot password=hunter2 dbname=x",
        "host=db password = hunter2",
        "password='hunter2 is it' host=db",
        r"password='hunter\'2 hunter2' host=db",
        "DRIVER=x;UID=bot;PWD=hunter2;Server=db",
        "DRIVER=x;UID=bot;PWD={a}}b;hunter2};Server=db",
        "Server=db;Password=my hunter2;Encrypt=yes",
        'Server=db;Pwd="a;hunter2";Encrypt=yes',
        '{"password": "hunter2"}',
        '{"password": "a\\"hunter2"}',
        "{'user': 'bot', 'password': 'hunter2'}",
        "DBPLANMON_PASSWORD=hunter2",
        "PROD_SQL_01_PASSWORD: hunter2",
        "ALTER ROLE bot PASSWORD 'hunter2'",
        "CREATE LOGIN bot WITH PASSWORD = 'hunter2'",
        "Authorization: Bearer hunter2hunter2",
        "https://hooks.example.net/x?token=hunter2&a=b",
        "https://hooks.example.net/x?api_key=hunter2",
        "AccountKey=hunter2==;EndpointSuffix=x",
        "client_secret=hunter2",
    ],
)
def test_secrets_are_masked_wherever_they_stand(text):
    assert "hunter2" not in scrub(text)
    assert "***" in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "collected 50 statements of prod-sql-01/Sales in 12 ms",
        "http://127.0.0.1:3000/incidents/12",
        "mail to dba@example.net about https://example.net/a",
        "LoginFailed: the password was rejected",
        "key=5 monkey=3 tokens_read=7",
        "PWD is the working directory",
    ],
)
def test_harmless_text_stays_as_it_is(text):
    assert scrub(text) == text


def test_the_rest_of_a_connection_string_stays_readable():
    assert scrub("UID=bot;PWD=hunter2;Server=db") == "UID=bot;PWD=***;Server=db"
    assert scrub("postgresql://bot:hunter2@db:5432/x") == "postgresql://bot:***@db:5432/x"
    assert scrub("host=db password=hunter2 dbname=x") == "host=db password=*** dbname=x"


@pytest.mark.parametrize(
    "text",
    [
        "a://:" * 20_000,
        "password='" + "\\" * 50_000,
        "password " * 20_000,
        "pwd={ " * 20_000,
        "pwd: " * 20_000,
        "a://b/:" * 20_000 + "@",
    ],
)
def test_hostile_text_is_scrubbed_in_time(text):
    began = time.process_time()
    scrub(text)
    assert time.process_time() - began < 1.0


def test_a_json_line_carries_the_given_fields(stream):
    configure_logging(json=True, stream=stream)
    extra = {"event": "collected", "run_id": "r1", "instance": "a", "database": "b", "duration_ms": 12.5, "rows": 3}
    LOG.info("collected %s", "a/b", extra=extra)
    (line,) = lines(stream)
    assert extra.items() <= line.items()
    assert (line["level"], line["message"]) == ("info", "collected a/b")
    assert line["ts"].endswith("Z")
    assert list(line)[:5] == ["ts", "level", "logger", "event", "message"]


def test_a_record_without_fields_has_none(stream):
    configure_logging(json=True, stream=stream)
    LOG.warning("plain")
    assert set(lines(stream)[0]) == {"ts", "level", "logger", "event", "message"}


def test_a_line_stays_one_line(stream):
    configure_logging(json=True, stream=stream)
    LOG.warning("two\nlines \u2028 here", extra={"note": "a\nb"})
    assert len(stream.getvalue().splitlines()) == 1


def test_secrets_are_masked_in_message_fields_and_exception(stream):
    configure_logging(json=True, stream=stream)
    nested = {"url": "http://u:hunter2@h", "list": ["pwd=hunter2"], "login": {"password": "hunter2"}}
    try:
        int("postgresql://bot:hunter2@db/x")
    except ValueError:
        LOG.exception("failed with %s", "password=hunter2", extra={"facts": nested, "api_token": "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert "ValueError" in lines(stream)[0]["exception"]


def test_a_secret_split_over_arguments_is_masked(stream):
    configure_logging(json=True, stream=stream)
    LOG.warning("password=%s", "hunter2")
    assert "hunter2" not in stream.getvalue()


def test_what_json_cannot_say_is_null(stream):
    configure_logging(json=True, stream=stream)
    LOG.warning("x", extra={"duration_ms": float("nan")})
    assert lines(stream)[0]["duration_ms"] is None


def test_objects_are_written_as_scrubbed_text(stream):
    class Target:
        def __str__(self):
            return "http://u:hunter2@h"

    configure_logging(json=True, stream=stream)
    LOG.warning("x", extra={"target": Target()})
    assert lines(stream)[0]["target"] == "http://u:***@h"


def test_people_get_one_short_line(stream):
    configure_logging(json=False, stream=stream)
    LOG.warning("slow\x1b[31m\nserver", extra={"event": "collected", "instance": "a", "facts": {"x": 1}, "rows": 3})
    (line,) = stream.getvalue().splitlines()
    assert line[20:] == " WARNING slow[31m server  [event=collected instance=a rows=3]"


def test_people_see_the_scrubbed_exception(stream):
    configure_logging(json=False, stream=stream)
    try:
        int("pwd=hunter2")
    except ValueError:
        LOG.exception("failed")
    assert "ValueError: invalid literal for int() with base 10: 'pwd=***" in stream.getvalue()


def test_configuring_twice_writes_once_in_the_last_form(stream):
    configure_logging(json=False, stream=io.StringIO())
    configure_logging(json=True, stream=stream)
    LOG.warning("x")
    assert len(lines(stream)) == 1


def test_the_level_holds(stream):
    configure_logging(json=True, level="warning", stream=stream)
    LOG.info("too low")
    LOG.error("high enough")
    assert [line["message"] for line in lines(stream)] == ["high enough"]


def test_an_unknown_level_is_refused():
    with pytest.raises(SettingsError, match="log level 'loud' is unknown"):
        configure_logging(json=True, level="loud")


def test_the_http_library_does_not_write_urls(stream):
    configure_logging(json=True, level="DEBUG", stream=stream)
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example.net/s3cr3t")
    assert stream.getvalue() == ""


def test_arguments_that_do_not_fit_lose_no_record(stream):
    configure_logging(json=True, stream=stream)
    record = logging.makeLogRecord({"msg": "%d rows", "args": ("many",), "levelname": "WARNING"})
    logging.getLogger().handlers[-1].handle(record)
    assert "its arguments do not fit" in lines(stream)[0]["message"]


def test_tokens_of_the_status_page_are_masked_whole_and_in_part():
    token = "dbpm_" + "0123456789abcdef" * 4
    assert scrub(f"{token} was sent, {token[:20]} too") == "dbpm_*** was sent, dbpm_*** too"


def test_an_unexpected_error_is_told_by_place_only():
    try:
        try:
            int("4111 1111")
        except ValueError as error:
            raise RuntimeError("hunter2") from error
    except RuntimeError as error:
        found = places_of(error)
    assert found[1:3] == ["ValueError", found[2]]
    assert found[-1] == "RuntimeError"
    assert all("test_logs.py:" in place for place in (found[0], found[2]))
    assert not [place for place in found if "hunter2" in place or "4111" in place]
