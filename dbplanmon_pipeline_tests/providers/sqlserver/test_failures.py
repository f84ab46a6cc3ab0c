import pytest

from dbplanmon_pipeline.errors import (
    CannotConnect,
    FeatureUnavailable,
    LoginFailed,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
)
from dbplanmon_pipeline.providers.sqlserver.causes import BY_NUMBER, BY_STATE, CONNECTING_BY_WORDS, FIRST_TO_COUNT
from dbplanmon_pipeline.providers.sqlserver.failures import (
    OdbcRecord,
    is_lost,
    native_number,
    records_of,
    scrubbed,
    translate,
)

MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
FREETDS = "[FreeTDS][SQL Server]"


class OdbcError(Exception):
    """Has the arguments of an error of pyodbc: SQLSTATE and text."""


def _error(state: str, *records: tuple[str, int], brand: str = MICROSOFT) -> OdbcError:
    texts = [f"[{state}] {brand}{words} ({number})" for words, number in records]
    texts[0] += " (SQLExecDirectW)"
    return OdbcError(state, "; ".join(texts))


@pytest.mark.parametrize("brand", [MICROSOFT, FREETDS], ids=["microsoft", "freetds"])
@pytest.mark.parametrize(
    ("state", "number", "kind"),
    [
        ("28000", 18456, LoginFailed),
        ("42000", 18456, LoginFailed),
        ("28000", 18452, LoginFailed),
        ("28000", 18487, LoginFailed),
        ("42000", 4060, CannotConnect),
        ("42000", 916, LoginFailed),
        ("42000", 300, PermissionMissing),
        ("42000", 297, PermissionMissing),
        ("42000", 229, PermissionMissing),
        ("40001", 1205, QueryTimedOut),
        ("42000", 1205, QueryTimedOut),
        ("42000", 1222, QueryTimedOut),
        ("42000", 921, CannotConnect),
        ("42000", 924, CannotConnect),
        ("42000", 954, CannotConnect),
        ("42000", 979, FeatureUnavailable),
        ("28000", 17892, LoginFailed),
        ("28000", 18450, LoginFailed),
        ("28000", 18458, LoginFailed),
        ("42000", 3961, QueryTimedOut),
        ("42000", 8649, QueryTimedOut),
        ("42000", 102, FeatureUnavailable),
        ("HY000", 824, ProviderError),
        ("42000", 10936, CannotConnect),
        ("42000", 601, QueryTimedOut),
        ("42S22", 207, FeatureUnavailable),
        ("42S02", 208, FeatureUnavailable),
        ("42000", 976, CannotConnect),
        ("42000", 978, FeatureUnavailable),
        ("42000", 983, CannotConnect),
        ("42000", 40613, CannotConnect),
        ("42000", 40197, CannotConnect),
        ("42000", 40501, CannotConnect),
        ("42000", 49918, CannotConnect),
        ("42000", 10928, CannotConnect),
        ("42000", 18401, CannotConnect),
        ("08S01", 17809, CannotConnect),
        ("08S01", 10054, CannotConnect),
        ("08S01", 121, CannotConnect),
        ("08001", 10060, CannotConnect),
        ("08S01", 233, CannotConnect),
        ("01000", 20017, CannotConnect),
        ("01000", 20003, CannotConnect),
        ("01000", 20004, CannotConnect),
        ("01000", 20006, CannotConnect),
        ("08S01", 20009, CannotConnect),
    ],
)
def test_a_number_decides_whatever_the_sqlstate(brand, state, number, kind):
    told = translate(_error(state, ("Words of the server.", number), brand=brand), "sql1/shop")

    assert type(told) is kind
    assert native_number(told) == number
    assert told.target == "sql1/shop"
    assert told.remedy


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("HYT00", QueryTimedOut),
        ("HY008", QueryTimedOut),
        ("08S01", CannotConnect),
        ("08003", CannotConnect),
        ("40001", QueryTimedOut),
        ("28000", LoginFailed),
        ("42S02", FeatureUnavailable),
    ],
)
def test_without_a_known_number_the_state_decides(state, kind):
    told = translate(_error(state, ("Something.", 0)), "t")

    assert type(told) is kind
    assert native_number(told) is None


@pytest.mark.parametrize("number", [121, 233, 10054, 64])
def test_numbers_of_the_network_mean_something_else_from_the_server(number):
    told = translate(_error("42000", ("Column does not allow nulls.", number)), "t")

    assert type(told) is ProviderError
    assert not is_lost(told)
    assert native_number(told) == number


@pytest.mark.parametrize("first", [927, 4060, 978, 979, 17892, 18487, 40613])
def test_the_reason_beside_a_failed_login_counts(first):
    login = ("Login failed for user 'mon'.", 18456)
    one = translate(_error("28000", login, ("The reason.", first)), "t", connecting=True)
    two = translate(_error("42000", ("The reason.", first), login), "t", connecting=True)

    assert native_number(one) == native_number(two) == first


@pytest.mark.parametrize(("number", "remedy"), [(978, "Set application_intent"), (979, "Remove application_intent")])
def test_the_two_refusals_of_an_intent_have_opposite_remedies(number, remedy):
    assert translate(_error("42000", ("The reason.", number)), "t").remedy.startswith(remedy)


def test_a_message_cannot_pass_for_another_number():
    told = translate(_error("42000", ("Conversion failed for (18456) (SQLDriverConnect) x", 245)), "t")

    assert native_number(told) == 245


def test_values_in_the_words_of_the_server_are_left_out():
    words = "Conversion failed when converting the nvarchar value 'card 4111' to data type int."

    told = translate(_error("22018", (words, 245)), "t")

    assert "4111" not in str(told)
    assert "error 245" in str(told)


def test_the_user_of_a_failed_login_is_left_out():
    told = translate(_error("28000", ("Login failed for user 'mon'.", 18456)), "t", connecting=True)

    assert told.message == "the server rejects the login (18456)"


def test_a_missing_permission_is_named_in_the_words_of_the_server():
    told = translate(_error("42000", ("VIEW SERVER STATE permission was denied on object 'server'.", 300)), "t")

    assert told.message == ("permission denied (300): VIEW SERVER STATE permission was denied on object 'server'.")
    assert "dbplanmon grants" in told.remedy


def test_records_are_told_apart():
    error = _error("42000", ("One (a; b)", 5), ("Two; [three", 6))

    assert records_of(error.args[1]) == [OdbcRecord(5, "One (a; b)"), OdbcRecord(6, "Two; [three")]


def test_text_without_records_is_one_record():
    assert records_of("The cursor's connection has been closed.") == [
        OdbcRecord(0, "The cursor's connection has been closed.")
    ]


@pytest.mark.parametrize(
    ("words", "state", "number", "kind", "told"),
    [
        ("Encryption not supported on SQL Server.", "08001", 20, CannotConnect, "the server offers no encryption"),
        (
            "SSL Provider: [error:0A000086:SSL routines::certificate verify failed:unable to get local issuer]",
            "08001",
            -1,
            CannotConnect,
            "is not trusted",
        ),
        (
            "SSL Provider: [SSL routines::certificate verify failed:subject name does not match host name]",
            "08001",
            -1,
            CannotConnect,
            "bears another name",
        ),
        ("Login timeout expired", "HYT00", 0, CannotConnect, "no answer in time"),
        ("SSPI Provider: No Kerberos credentials available", "HY000", 851968, LoginFailed, "no valid Kerberos ticket"),
        ("TCP Provider: Error code 0x274D", "08001", 10061, CannotConnect, "nothing listens there"),
        ("TCP Provider: Error code 0x2AF9", "08001", 11001, CannotConnect, "the host name is not known"),
        ("Unknown host machine name", "01000", 20013, CannotConnect, "the host name is not known"),
        ("SSL Provider: [OpenSSL library could not be loaded]", "08001", -1, FeatureUnavailable, "needs OpenSSL"),
        ("Something new.", "08001", 0, CannotConnect, "cannot connect (08001): Something new."),
    ],
)
def test_what_goes_wrong_before_the_login_is_told_in_plain_words(words, state, number, kind, told):
    error = translate(_error(state, (words, number), brand="[Microsoft][X]"), "t", connecting=True)

    assert type(error) is kind
    assert told in error.message
    assert error.remedy


def test_a_value_that_cannot_be_read_is_not_repeated():
    try:
        b"\xff secret".decode("utf-8")
    except UnicodeDecodeError as error:
        told = translate(error, "t")

    assert told.message == "a value in an answer of the server cannot be read (UnicodeDecodeError)"


@pytest.mark.parametrize(
    "text",
    [
        "before hunter2}; after",
        "PWD={hunter2}};x};SERVER=h",
        "pwd = hunter2}; after",
        "Password='hunter2};'",
        "client_secret=hunter2};",
    ],
)
def test_passwords_are_scrubbed(text):
    assert "hunter2" not in scrubbed(text, ("hunter2};",))


def test_a_password_field_is_scrubbed_even_if_the_secret_is_unknown():
    assert scrubbed("DRIVER=x;PWD={hun}}ter;2};SERVER=h", ()) == "DRIVER=x;PWD=***;SERVER=h"


def test_a_message_is_one_bounded_line():
    told = scrubbed("a\n  b\t" + "c" * 1000, ())

    assert told.startswith("a b c")
    assert len(told) == 300


def test_every_cause_is_one_sentence_with_a_way_out():
    causes = [*BY_NUMBER.values(), *BY_STATE.values(), *(cause for _, cause in CONNECTING_BY_WORDS)]

    assert [cause for cause in causes if not cause.remedy.endswith(".") or cause.message.endswith(".")] == []
    assert set(BY_NUMBER) >= FIRST_TO_COUNT
