"""AUTH with independent clients, with and without TLS."""

import pytest
from tests.auth.samples import user, write_users
from tests.e2e.clients import Message, aio, curl, msmtp, python, swaks
from tests.e2e.conftest import serving
from tests.net import authority

CONTENT = b"Subject: sample\r\n\r\nsome text\r\n"
PASSWORD = "correct horse, battery"
WRONG = "535 5.7.8 Authentication credentials invalid"
TLS = ("none", "starttls", "implicit")
PROTOCOL = {"none": "ESMTPA", "starttls": "ESMTPSA", "implicit": "ESMTPSA"}
LIMITS = "auth_failures_per_ip = 1000\nauth_failures_per_network = 1000"


@pytest.fixture(scope="module", params=TLS)
def server(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("server")
    write_users(folder, user(password=PASSWORD))
    extra = f'[auth]\nusers = "users.auth"\nclear = {str(request.param == "none").lower()}\n'
    settings = {"listen": "auth = true", "limits": LIMITS, "tls": request.param}
    with serving(folder, extra, **settings) as running:
        yield running
    assert PASSWORD not in (folder / "log").read_text()


def with_swaks(mechanism):
    def send(server, folder, message, password):
        auth = [f"--auth={mechanism}", "--auth-user=alice", f"--auth-password={password}"]
        return swaks(server.port, folder, message, *auth, tls=server.tls)

    return send


def with_curl(mechanism):
    def send(server, folder, message, password):
        options = ["--user", f"alice:{password}", "--login-options", f"AUTH={mechanism}"]
        return curl(server.port, folder, message, tls=server.tls, options=options)

    return send


def with_python(client):
    def send(server, folder, message, password):
        return client(server.port, folder, message, tls=server.tls, login=("alice", password))

    return send


def with_msmtp(mechanism):
    def send(server, folder, message, password):
        (folder / "password").write_text(password)
        command = f"--passwordeval=cat {folder / 'password'}"
        options = [f"--auth={mechanism}", "--user=alice", command]
        return msmtp(server.port, folder, message, *options, tls=server.tls)

    return send


CLIENTS = {
    "swaks plain": with_swaks("PLAIN"),
    "swaks login": with_swaks("LOGIN"),
    "curl plain": with_curl("PLAIN"),
    "curl login": with_curl("LOGIN"),
    "smtplib": with_python(python),
    "aiosmtplib": with_python(aio),
    "msmtp plain": with_msmtp("plain"),
    "msmtp login": with_msmtp("login"),
    "msmtp scram": with_msmtp("scram-sha-256"),
    "msmtp chooses": with_msmtp("on"),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_authenticated_user_can_send(server, tmp_path, client):
    authority.write_authority(tmp_path)
    box = server.address()
    outcome = CLIENTS[client](server, tmp_path, Message((box,), CONTENT), PASSWORD)
    assert outcome.sent, outcome.output
    (mail,) = server.mails(box)
    assert mail.protocol == PROTOCOL[server.tls]
    assert mail.content.endswith(CONTENT)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_password_is_refused(server, tmp_path, client):
    authority.write_authority(tmp_path)
    box = server.address()
    outcome = CLIENTS[client](server, tmp_path, Message((box,), CONTENT), "guess")
    assert not outcome.sent
    assert server.mails(box) == []
    if not client.startswith("curl"):
        assert "5.7.8" in outcome.output


def test_a_trap_does_not_refuse_a_user(server, tmp_path):
    authority.write_authority(tmp_path)
    box = server.address()
    message = Message((box, "trap@open.example"), CONTENT)
    assert CLIENTS["smtplib"](server, tmp_path, message, PASSWORD).sent
    assert len(server.mails(box)) == 1
    assert not python(server.port, tmp_path, message, tls=server.tls).sent
    assert len(server.mails(box)) == 1
