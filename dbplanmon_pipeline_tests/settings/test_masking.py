"""Whatever is wrong with a file, what may be a secret in it is never shown."""

import json
import logging
import tempfile
import traceback
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import load_settings

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MARK = "Zq7"
SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30).map(
    lambda text: f"{MARK}{text}{MARK}"
)
RAW = st.text("abc:/@#*&!%[]{}'\"\\|>?-, \t\n=.", max_size=12).map(lambda text: f"{text}{MARK}{text[::-1]}{MARK}")
KEYS = st.sampled_from(["password", "passwrd", "pasword", "Password", "secret", "pw"])
ENVIRONMENTS = st.sampled_from(["development", "production", "prod"])


def _document(key, secret, environment, port):
    return {
        "environment": environment,
        "store": {"url": f"postgresql://u:{secret}@h/d"},
        "instances": [
            {"name": "a", "engine": "postgres", "server": "h", "port": port, "login": {"user": "u", key: secret}},
            {"name": "b", "engine": "postgres", "server": f"h;pwd={secret}", "login": secret},
        ],
        "alerts": {
            "channels": [
                {"type": "webhook", "url": f"https://h/{secret}", "secret": secret, "headers": {"X-Token": secret}},
                {"type": "webhook", "name": "w2", "url": secret, "token": secret},
            ]
        },
    }


def _everything_said(text, caplog, environ=None):
    """All that comes out of loading a text: errors with their chain, or settings in every form, and the log."""
    caplog.clear()
    with tempfile.TemporaryDirectory() as folder, caplog.at_level(logging.DEBUG):
        Path(folder, "dbplanmon.yaml").write_text(text, "utf-8")
        try:
            loaded = load_settings(environ=environ or {}, cwd=Path(folder))
        except SettingsError as error:
            said = "".join(traceback.format_exception(error)) + repr(error.__context__)
        else:
            said = repr(loaded) + str(loaded) + json.dumps(loaded.effective()) + loaded.model_dump_json()
    return said + caplog.text


@QUICK
@given(secret=SECRETS, key=KEYS, environment=ENVIRONMENTS, port=st.sampled_from([5432, 0, "x"]))
def test_a_secret_is_never_shown_whatever_is_wrong(caplog, secret, key, environment, port):
    text = yaml.safe_dump(_document(key, secret, environment, port), allow_unicode=True)

    assert MARK not in _everything_said(text, caplog)


@QUICK
@given(secret=SECRETS)
def test_a_secret_is_not_shown_when_all_is_well(caplog, secret):
    document = _document("password", secret, "development", 5432)
    document["instances"].pop()
    document["alerts"]["channels"].pop()
    said = _everything_said(yaml.safe_dump(document, allow_unicode=True), caplog)

    assert "********" in said
    assert MARK not in said


@QUICK
@given(secret=RAW)
def test_a_secret_written_without_quotes_is_not_shown(caplog, secret):
    text = f"environment: production\ninstances:\n  - name: a\n    login:\n      password: {secret}\n    port: x\n"

    said = _everything_said(text, caplog)

    assert MARK not in said.replace(f"{MARK}: ", "")


@QUICK
@given(secret=SECRETS)
def test_a_secret_in_a_variable_is_not_shown(caplog, secret):
    environ = {
        "DBPLANMON_INSTANCES__0__LOGIN__PASSWORD": secret,
        "DBPLANMON_INSTANCES__0__LOGIN__PASWORD": secret,
        "DBPLANMON_STORE__URL": secret,
        "DBPLANMON_SECRETS__TOKEN": secret,
    }

    assert MARK not in _everything_said("instances: [{name: a, engine: postgres, server: h}]", caplog, environ)
