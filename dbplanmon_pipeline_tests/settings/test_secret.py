import logging
import sys

import pytest

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import SecretReference
from dbplanmon_pipeline.settings.secret import MASK, has_credentials, mask_url
from dbplanmon_pipeline_tests.settings.support import complaints, load, write

LOGIN = "instances: [{{name: a, engine: postgres, server: h, login: {{user: u, password: '{0}'}}}}]"


def _password(folder, reference, environ=None):
    return load(folder, LOGIN.format(reference), environ).instance("a").login.password


def test_a_variable_is_read_when_the_secret_is_used(tmp_path):
    password = _password(tmp_path, "env:PG_PASSWORD")

    assert password.resolve({"PG_PASSWORD": "first"}) == "first"
    assert password.resolve({"PG_PASSWORD": "second"}) == "second"


def test_the_variables_of_the_process_are_the_default(tmp_path, monkeypatch):
    password = _password(tmp_path, "env:PG_PASSWORD")
    monkeypatch.setenv("PG_PASSWORD", "from the process")

    assert password.resolve() == "from the process"


@pytest.mark.parametrize("environ", [{}, {"PG_PASSWORD": ""}], ids=["absent", "empty"])
def test_a_missing_variable_says_what_to_do(tmp_path, environ):
    with pytest.raises(SettingsError, match=r"^env:PG_PASSWORD: .* PG_PASSWORD is not set; export it$"):
        _password(tmp_path, "env:PG_PASSWORD").resolve(environ)


def test_a_file_counts_from_the_settings_and_loses_its_line_end(tmp_path):
    (tmp_path / "secret").write_text(" s3cr3t \r\n")

    assert _password(tmp_path, "file:secret").resolve() == " s3cr3t "
    assert _password(tmp_path, f"file:{tmp_path}/secret").resolve() == " s3cr3t "


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read (No such file or directory); create it or mend its rights"),
        (b"\n", "is empty; it must hold the secret and nothing else"),
        (b"\xff\xfe", "is not UTF-8 text; save it again as UTF-8"),
        (b"x" * 70_000, "is larger than 64 KiB; it must hold the secret and nothing else"),
    ],
    ids=["missing", "empty", "not text", "too large"],
)
def test_a_file_without_a_secret_says_what_to_do(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        _password(tmp_path, "file:secret").resolve()

    assert str(caught.value) == f"file:{tmp_path}/secret: {complaint}"


def test_a_keyring_entry_is_read_from_the_keyring(tmp_path):
    keyring = pytest.importorskip("keyring", reason="the extra `keyring` is not installed")
    backend = pytest.importorskip("keyring.backend")

    class InMemory(backend.KeyringBackend):
        priority = 1

        def set_password(self, service, username, password):
            raise NotImplementedError

        def get_password(self, service, username):
            return {("dbs", "orders/reader"): "kept"}.get((service, username))

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        assert _password(tmp_path, "keyring:dbs/orders/reader").resolve() == "kept"
        with pytest.raises(SettingsError, match=r"^keyring:dbs/x: no such entry; add it with: keyring set dbs x$"):
            _password(tmp_path, "keyring:dbs/x").resolve()
    finally:
        keyring.set_keyring(before)


def test_without_keyring_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(SettingsError, match=r"keyring is not installed; pip install 'dbplanmon-pipeline\[keyring\]'"):
        _password(tmp_path, "keyring:dbs/x").resolve()


def test_loading_settings_does_not_import_keyring(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    assert _password(tmp_path, "keyring:dbs/x").describe() == "keyring:dbs/x"


@pytest.mark.parametrize("text", ["env:", "env:1x", "env:a b", "file:", "keyring:", "keyring:service", "keyring:/user"])
def test_an_incomplete_reference_is_refused(tmp_path, text):
    (line,) = complaints(tmp_path, LOGIN.format(text))

    assert line.startswith("dbplanmon.yaml:1: instances[0].login.password: ******** is not right; expected")


def test_a_secret_shows_nothing_of_itself():
    for text in ("hunter2", "env:NAME", "abc://hunter2"):
        reference = SecretReference.parse(text)
        assert (str(reference), f"{reference}", repr(reference)) == (MASK, MASK, f"SecretReference({MASK})")
    assert SecretReference.parse("abc://hunter2").describe() == MASK


def test_a_plain_password_is_warned_about_outside_production(tmp_path, caplog):
    text = "environment: development\n" + LOGIN.format("hunter2")

    with caplog.at_level(logging.WARNING):
        settings = load(tmp_path, text)

    (record,) = caplog.records
    assert record.getMessage() == (
        "dbplanmon.yaml:2: instances[0].login.password holds a plain secret; "
        "move it out and write env:NAME, file:PATH or keyring:SERVICE/USER"
    )
    assert settings.instance("a").login.password.resolve({}) == "hunter2"
    assert settings.effective()["instances"][0]["login"]["password"] == MASK


def test_a_plain_password_is_refused_in_production_wherever_production_is_said(tmp_path):
    text = "environment: development\n" + LOGIN.format("hunter2")

    (line,) = complaints(tmp_path, text, {"DBPLANMON_ENVIRONMENT": "production"})
    (overlaid,) = _with_overlay(tmp_path, text)

    assert "is a plain secret, refused in production" in line
    assert "is a plain secret, refused in production" in overlaid


def _with_overlay(folder, text):
    write(folder, "collection: {top_n: 5}", "dbplanmon.production.yaml")
    return complaints(folder, text, {"DBPLANMON_ENVIRONMENT": "production"})


@pytest.mark.parametrize(
    "url", ["sqlite:///x.db", "postgresql://db.example/plans", "https://hooks.example/in", "sqlite:///me@h/x"]
)
def test_a_url_without_credentials_may_stand_in_clear_text_in_production(tmp_path, caplog, url):
    with caplog.at_level(logging.WARNING):
        settings = load(tmp_path, f"environment: production\nstore: {{url: '{url}'}}")

    assert settings.store_url({}) == url
    assert caplog.records == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgresql://u:p/w@h/d",
        "postgresql://u:p?w@h/d",
        "postgresql://u@h/d?password=p",
        "mssql+pyodbc:///?odbc_connect=PWD%3Dp",
        "https://h/x?token=t",
    ],
)
def test_a_url_with_credentials_is_a_secret(tmp_path, url):
    assert has_credentials(url)
    (line,) = complaints(tmp_path, f"environment: production\nstore: {{url: '{url}'}}")
    assert "is a plain secret, refused in production" in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:p@h:5432/d", "postgresql+psycopg://********@h:5432/d"),
        ("postgresql://u:p/w@h/d?password=p", "postgresql://********"),
        ("postgresql://u:p?w@h/d", "postgresql://********"),
        ("postgresql://h/d?password=p", "postgresql://h/d********"),
        ("https://h#x", "https://h********"),
        ("https://h.example/webhook/a@b/c", "https://********"),
        ("sqlite:///h@me/x.db", "sqlite://********"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("https://hooks.example/services/T0/B0/xyz", "https://hooks.example/********"),
        ("https://hooks.example", "https://hooks.example"),
        ("slack://tokenA/tokenB", "********"),
        ("hunter2", "********"),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    assert mask_url(url) == shown


def test_headers_that_tell_of_a_secret_are_secrets_and_others_are_not(tmp_path, caplog):
    text = """
    environment: development
    alerts: {channels: [{type: webhook, url: https://h.example, headers: {X-Team: dba, Authorization: Bearer x}}]}
    """
    with caplog.at_level(logging.WARNING):
        (channel,) = load(tmp_path, text).alerts.channels

    assert channel.headers["X-Team"].resolve({}) == "dba"
    assert [record.getMessage().split(" ")[1] for record in caplog.records] == [
        "alerts.channels[0].headers.Authorization"
    ]
