"""Mail against real SMTP servers on loopback sockets."""

import base64
import email
import email.policy
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.alerts.mail_addresses import mail_address
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.errors import NotificationError
from dbplanmon_pipeline.notify.mail import EmailChannel, MailEncryption

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
BODY = "A statement became 8x slower.\n\nWhere   a/b <script>\nSince   12:00 ü\n"
ALERT = Alert("id-1", "0badcafe", "opened", "dba", "high", NOW, "[high] a/b: statement is 8x slower", BODY)


class Mailbox:
    """Keeps what arrives; `refuse` answers a recipient or the data with a line of its own."""

    def __init__(self, rcpt="", data=""):
        self.mails, self.recipients, self.rcpt, self.data = [], [], rcpt, data

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - a hook of aiosmtpd
        if self.rcpt and not address.startswith("good"):
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - a hook of aiosmtpd
        if self.data:
            return self.data
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def smtp_server(box, **options):
    # Port 0 would make the controller wait for a server on that port.
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def channel(port, *, to=("dba@example.net",), encryption=MailEncryption.NONE, sender="monitor@example.net", **options):
    recipients = [mail_address(text) for text in to]
    options = {"timeout_s": 5.0} | options
    return EmailChannel(
        "dba", "127.0.0.1", mail_address(sender), recipients, port=port, encryption=encryption, **options
    )


def refusal(given, alert=ALERT):
    with pytest.raises(NotificationError) as caught:
        given.send(alert)
    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__)
    return caught.value


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


def test_a_mail_has_text_and_html_with_the_same_words():
    box = Mailbox()
    with smtp_server(box) as port:
        channel(port, to=("dba@example.net", "Team DBA <ops@example.net>")).send(ALERT)
    (mail,) = box.mails
    assert (mail["Subject"], mail["From"]) == (ALERT.subject, "monitor@example.net")
    assert mail["To"] == "dba@example.net, Team DBA <ops@example.net>"
    assert mail["Message-ID"] == "<id-1@example.net>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert box.recipients == [["dba@example.net", "ops@example.net"]]
    text, page = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert text.replace("\r\n", "\n") == BODY
    assert "Where   a/b &lt;script&gt;" in page
    assert "<script>" not in page


def test_pictures_stand_inside_the_page_of_a_summary():
    pictures = {"plot": base64.b64encode(PNG).decode(), "bad id\r\n": "x", "text": base64.b64encode(b"no png").decode()}
    facts = {"html": '<p>grade A</p><img src="cid:plot">', "pictures": pictures}
    box = Mailbox()
    with smtp_server(box) as port:
        channel(port).send(Alert("id-2", "summary:2026-11-22", "summary", "dba", "low", NOW, "The day", "Text", facts))
    (picture,) = [part for part in box.mails[0].walk() if part.get_content_type() == "image/png"]
    assert (picture["Content-ID"], picture.get_content()) == ("<plot>", PNG)
    assert picture.get_content_disposition() == "inline"
    assert 'src="cid:plot"' in box.mails[0].get_body(("html",)).get_content()


def test_no_text_becomes_a_header():
    hostile = Alert("id\r\nBcc: x@y", "i", "opened", "dba", "high", NOW, "slow\r\nBcc: spy@example.net\n\nbody", "b")
    box = Mailbox()
    with smtp_server(box) as port:
        channel(port).send(hostile)
    assert box.mails[0]["Bcc"] is None
    assert box.mails[0]["Subject"] == "slow Bcc: spy@example.net body"
    assert box.recipients == [["dba@example.net"]]


def test_letters_of_the_world_arrive_in_names_subjects_and_domains():
    box = Mailbox()
    with smtp_server(box) as port:
        channel(port, to=("Jürgen Müller <jm@bücher.example>",)).send(
            Alert("id-1", "i", "opened", "dba", "high", NOW, "表 ist 8x langsamer", "Größe ü 表")
        )
    assert box.mails[0]["To"] == "Jürgen Müller <jm@xn--bcher-kva.example>"
    assert box.mails[0]["Subject"] == "表 ist 8x langsamer"
    assert "Größe ü 表" in box.mails[0].get_body(("plain",)).get_content()


def accept(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b"monitor", b"hunter2")
    return AuthResult(success=right, handled=False, message=None if right else "535 5.7.8 not you")


@pytest.mark.parametrize("password", ["hunter2", "wrong"])
def test_starttls_with_a_login(server_tls, ca_file, password):
    box, asked = Mailbox(), []
    options = {
        "tls_context": server_tls,
        "require_starttls": True,
        "authenticator": accept,
        "auth_exclude_mechanism": ["LOGIN"],
    }
    with smtp_server(box, **options) as port:
        login = ("monitor", lambda: asked.append(1) or password)
        given = channel(port, encryption=MailEncryption.STARTTLS, ca_file=ca_file, login=login)
        assert asked == []
        if password == "hunter2":
            given.send(ALERT)
        else:
            error = refusal(given)
            assert not error.transient
            assert "rejected the login (535)" in str(error)
    assert len(box.mails) == (password == "hunter2")


def test_tls_from_the_first_byte(server_tls, ca_file):
    box = Mailbox()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    said = threading.Thread(target=_one_session_over_tls, args=(listener, server_tls, box))
    said.start()
    channel(port, encryption=MailEncryption.TLS, ca_file=ca_file).send(ALERT)
    said.join()
    assert b"Subject: [high] a/b" in box.mails[0]


def _one_session_over_tls(listener, context, box):
    connection, _ = listener.accept()
    listener.close()
    with context.wrap_socket(connection, server_side=True) as tls, tls.makefile("rwb", buffering=0) as stream:
        stream.write(b"220 ready\r\n")
        while line := stream.readline():
            if line.upper().startswith(b"DATA"):
                stream.write(b"354 go\r\n")
                box.mails.append(b"".join(iter(stream.readline, b".\r\n")))
            stream.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")
            if line.upper().startswith(b"QUIT"):
                break


@pytest.mark.parametrize("encryption", [MailEncryption.STARTTLS, MailEncryption.TLS])
def test_an_untrusted_certificate_sends_neither_password_nor_mail(server_tls, encryption):
    asked, box = [], Mailbox()
    with smtp_server(box, tls_context=server_tls) as port:
        given = channel(port, encryption=encryption, login=("monitor", lambda: asked.append(1) or "hunter2"))
        error = refusal(given)
    assert error.transient
    assert (asked, box.mails) == ([], [])


def test_a_server_without_starttls_gets_nothing():
    box = Mailbox()
    with smtp_server(box) as port:
        error = refusal(channel(port, encryption=MailEncryption.STARTTLS))
    assert not error.transient
    assert "does not offer" in str(error)
    assert box.mails == []


@pytest.mark.parametrize(
    ("box", "transient", "said"),
    [
        (Mailbox(rcpt="550 hunter2 unknown"), False, "refused all recipients (550)"),
        (Mailbox(rcpt="451 greylisted"), True, "refused all recipients (451)"),
        (Mailbox(data="554 spam hunter2"), False, "refused the mail (554)"),
        (Mailbox(data="452 full"), True, "refused the mail (452)"),
    ],
    ids=["unknown", "greylisted", "spam", "full"],
)
def test_what_a_server_refuses_may_pass_or_not(box, transient, said):
    with smtp_server(box) as port:
        error = refusal(channel(port))
    assert error.transient is transient
    assert said in str(error)


def test_one_refused_recipient_of_several_does_not_cost_the_others_their_mail(caplog):
    box = Mailbox(rcpt="550 unknown")
    with smtp_server(box) as port:
        channel(port, to=("good@example.net", "gone@example.net")).send(ALERT)
    assert box.recipients == [["good@example.net"]]
    assert "1 of the recipients were refused" in caplog.text


def test_a_refused_connection_may_pass():
    error = refusal(channel(free_port()))
    assert isinstance(error, RetryLater)
    assert "cannot be reached" in str(error)


@contextmanager
def slow_server(answer):
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            try:
                while not done.wait(0.05):
                    connection.sendall(answer)
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("answer", [b"", b"2"], ids=["silence", "slow drip"])
def test_a_server_that_never_ends_is_given_up_in_time(answer):
    with slow_server(answer) as port:
        began = time.monotonic()
        error = refusal(channel(port, timeout_s=0.4))
        took = time.monotonic() - began
    assert "did not answer within 0.4 s" in str(error)
    assert took < 20


@pytest.mark.parametrize(
    "text", ["dba", "a@", "@b", "a b@c", "a@b\nBcc: c@d", "a@b, c@d", "<a@b", "a@b@c", "a@" + "x" * 400]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="expected a mail address"):
        mail_address(text)
