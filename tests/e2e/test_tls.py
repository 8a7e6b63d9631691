"""Mail with TLS from independent clients, with and without traps."""

import shutil
import subprocess

import pytest
from tests.e2e.clients import Message, aio, curl, msmtp, python, swaks
from tests.e2e.conftest import serving
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.net import authority

CONTENT = b"Subject: sample\r\n\r\n.some text\r\n" + b"x" * 70 + b"\r\n"
REFUSED = "554 5.7.1 Message refused by local policy"
CLIENTS = {
    "curl": curl,
    "swaks": swaks,
    "msmtp": msmtp,
    "smtplib": python,
    "aiosmtplib": aio,
}
MODES = ("starttls", "implicit")


@pytest.fixture(scope="module", params=MODES)
def server(tmp_path_factory, request):
    with serving(tmp_path_factory.mktemp("server"), tls=request.param) as running:
        yield running


@pytest.mark.parametrize("client", CLIENTS)
def test_a_message_arrives(server, tmp_path, client):
    authority.write_authority(tmp_path)
    box = server.address()
    outcome = CLIENTS[client](server.port, tmp_path, Message((box,), CONTENT), tls=server.tls)
    assert outcome.sent, outcome.output
    (mail,) = server.mails(box)
    assert mail.content == CONTENT
    assert mail.protocol == "ESMTPS"
    assert mail.tls.startswith("TLSv1.3 TLS_")


def test_an_international_message_arrives(server, tmp_path):
    message = Message(("jürgen@open.example",), CONTENT)
    assert python(server.port, tmp_path, message, tls=server.tls).sent
    assert server.mails("jürgen@open.example")[-1].protocol == "UTF8SMTPS"


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("client", CLIENTS)
def test_a_trap_refuses_the_message_for_all(server, tmp_path, client, place):
    authority.write_authority(tmp_path)
    recipients = [server.address(), server.address()]
    recipients.insert(place, "trap@open.example")
    message = Message(tuple(recipients), CONTENT)
    outcome = CLIENTS[client](server.port, tmp_path, message, tls=server.tls)
    assert not outcome.sent
    assert REFUSED.removeprefix("554 ") in outcome.output
    assert not any(server.mails(one) for one in recipients)


@pytest.mark.parametrize("place", range(3))
def test_a_message_after_a_trap_is_accepted(server, place):
    recipients, box = [server.address(), server.address()], server.address()
    recipients.insert(place, "trap@open.example")
    with Raw(server.port, tls=server.tls) as client:
        *before, refusal = client.exchange(*envelope(*recipients), "DATA")
        assert codes(before) == ["250"] * 4
        assert refusal.startswith(REFUSED)
        assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
        client.send(stuffed(CONTENT))
        assert client.reply()[:3] == "250"
    assert not any(server.mails(one) for one in recipients)
    assert [mail.content for mail in server.mails(box)] == [CONTENT]


def test_a_trap_before_starttls_does_not_affect_mail_after_it(tmp_path):
    with serving(tmp_path, tls="starttls") as server:
        box = server.address()
        with Raw(server.port) as client:
            replies = client.exchange(
                *envelope("trap@open.example"), "STARTTLS", "RSET", "STARTTLS"
            )
            assert codes(replies) == ["250", "250", "503", "250", "220"]
            client.encrypt()
            assert codes(client.exchange("RCPT TO:<x@open.example>")) == ["503"]
            assert codes(client.exchange("EHLO client.example")) == ["250"]
            assert codes(client.exchange(*envelope(box), "DATA")) == ["250", "250", "354"]
            client.send(stuffed(CONTENT))
            assert client.reply()[:3] == "250"
        assert len(server.mails(box)) == 1


@pytest.mark.parametrize("behind", ["NOOP", "EHLO commandinjectiontester"])
def test_a_command_injected_before_the_handshake_is_refused(tmp_path, behind):
    with serving(tmp_path, tls="starttls") as server, Raw(server.port) as client:
        client.send(f"STARTTLS\r\n{behind}\r\n".encode())
        assert client.rest() == ["554 5.5.1 Nothing may follow STARTTLS before it is answered"]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_verifies_the_certificate(server, tmp_path, version):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    starttls = ["-starttls", "smtp"] if server.tls == "starttls" else []
    ca = authority.write_authority(tmp_path)
    done = subprocess.run(
        [
            "openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", version, *starttls,
            "-CAfile", ca, "-verify_return_error", "-servername", "localhost", "-crlf", "-ign_eof",
        ],
        input=b"QUIT\n",
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    output = done.stdout.decode("utf-8", "replace")
    assert "Verify return code: 0 (ok)" in output
    assert "221 2.0.0" in output


def test_a_listener_whose_certificate_is_missing_does_not_start(tmp_path):
    with serving(tmp_path, tls="starttls") as server:
        server.stop()
        (tmp_path / "cert.key").unlink()
        with pytest.raises(AssertionError, match="did not start") as caught:
            server.start()
        assert f"gatepost: {tmp_path}/cert.key: cannot be read" in str(caught.value)
        assert server.wait() == 1
