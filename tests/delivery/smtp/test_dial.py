"""Opening a connection: TLS, authentication, client identity."""

import msgspec
import pytest
from tests.delivery.samples import delivery, message, recipient
from tests.delivery.smtp.peer import DROP, EHLO, HANG, QUICK, Peer, run, settings
from tests.net import authority

from gatepost.config.client import ClientConfig
from gatepost.delivery.smtp.connection.forward import ForwardedClient, xclient
from gatepost.delivery.smtp.relay import Relay
from gatepost.delivery.smtp.settings import ClientSettings
from gatepost.delivery.target import DeliveryError
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.net.client_tls import ClientTls

RCPT = recipient("a@example.com")
CONTENT = b"Subject: x\r\n\r\nHello\r\n"
STARTTLS = EHLO.replace(b"250 SIZE", b"250-STARTTLS\r\n250 SIZE")
NO = b"454 4.7.0 not now\r\n"


def with_keyword(keyword):
    return EHLO.replace(b"250 SIZE", b"250-" + keyword + b"\r\n250 SIZE")


def sent(script=None, *, tls=None, path=None, scheme="smtp", server_tls=None, **options):
    """Deliver once; return the error's reply and detail ("" if none) and the peer."""

    async def play():
        async with Peer(script, scheme, tls=server_tls, path=path) as peer:
            relay = Relay(peer.hop, settings(tls, **options))
            try:
                assert await relay.deliver(delivery(RCPT, of=message(CONTENT))) is None
            except DeliveryError as error:
                return (str(error.reply), error.detail.partition(": ")[2]), peer
            finally:
                await relay.stop()
            return ("", ""), peer

    return run(play())


def test_delivery_over_a_unix_socket(tmp_path):
    error, peer = sent(scheme="lmtp", path=tmp_path / "lmtp")
    assert error == ("", "")
    assert peer.lines[0] == "LHLO gate.example"


def test_a_missing_socket_is_unreachable(tmp_path):
    from gatepost.delivery.smtp.hop import Hop

    async def play():
        relay = Relay(Hop("lmtp", "localhost", path=str(tmp_path / "none")), settings())
        with pytest.raises(DeliveryError, match="No such file or directory") as caught:
            await relay.deliver(delivery(RCPT))
        assert caught.value.reply.enhanced == "4.4.1"
        assert relay._pool.unused

    run(play())


# TLS, with a real handshake


@pytest.fixture
def shown(tmp_path):
    """Return a server's context, with a certificate for 127.0.0.1."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.write(tmp_path, "127.0.0.1"))
    return context


def modes(tmp_path):
    ca = authority.write_authority(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = authority.write_authority(tmp_path / "other", authority.other_authority())
    return {
        "opportunistic": ClientTls("opportunistic"),
        "required": ClientTls("required"),
        "verified": ClientTls("verified", ca),
        "stranger": ClientTls("verified", stranger),
        "other name": ClientTls("verified", ca, "mail.example"),
        "system": ClientTls("verified"),
    }


TLS_FAILED = "451 4.7.5 TLS handshake with next hop failed, please try again later"
NO_TLS = "451 4.7.4 TLS is required, but was not offered by next hop, please try again later"


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        *(("opportunistic", ""), ("required", ""), ("verified", "")),
        *((mode, TLS_FAILED) for mode in ("stranger", "other name", "system")),
    ],
)
def test_starttls_is_used_if_it_is_offered(tmp_path, shown, mode, error):
    script = {"EHLO": [STARTTLS, EHLO], "STARTTLS": b"220 go\r\n"}
    (found, detail), peer = sent(script, tls=modes(tmp_path)[mode], server_tls=shown)
    assert found == error
    if error:
        assert detail.startswith("CERTIFICATE_VERIFY_FAILED: ")
        assert peer.verbs == ["EHLO", "STARTTLS"]
    else:
        assert peer.verbs == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
        assert peer.secured == 1


@pytest.mark.parametrize("script", [{}, {"EHLO": STARTTLS, "STARTTLS": NO}], ids=["no", "refused"])
def test_missing_tls_is_an_error_if_compulsory(tmp_path, script):
    assert sent(script, tls=ClientTls("opportunistic"))[0] == ("", "")
    for mode in ("required", "verified"):
        (found, _), peer = sent(script, tls=ClientTls(mode))
        assert found == NO_TLS
        assert "MAIL" not in peer.verbs


def test_tls_none_sends_no_starttls():
    assert sent({"EHLO": STARTTLS}, tls=ClientTls("none"))[1].verbs[:2] == ["EHLO", "MAIL"]


def test_a_failed_handshake_is_followed_by_a_connection_without_tls():
    script = {"EHLO": STARTTLS, "STARTTLS": b"220 go\r\n", "HANDSHAKE": b"this is no TLS\r\n"}
    error, peer = sent(script, tls=ClientTls("opportunistic"))
    assert error == ("", "")
    assert peer.connections == 2
    error, peer = sent(script, tls=ClientTls("required"))
    assert peer.connections == 1
    assert error == (TLS_FAILED, "WRONG_VERSION_NUMBER")


CLOSING = {
    "after STARTTLS": {"STARTTLS": DROP},
    "421": {"STARTTLS": (b"421 4.3.2 bye\r\n", DROP)},
    "421 kept": {"STARTTLS": b"421 4.3.2 bye\r\n"},
    "after 220": {"STARTTLS": (b"220 go\r\n", DROP)},
    "after 454": {"STARTTLS": (b"454 4.7.0 TLS not available\r\n",)},
    "handshake": {"STARTTLS": b"220 go\r\n", "HANDSHAKE": DROP},
    "alert": {"STARTTLS": b"220 go\r\n", "HANDSHAKE": (b"\x15\x03\x03\x00\x02\x02\x28", DROP)},
}


@pytest.mark.parametrize("script", CLOSING.values(), ids=CLOSING)
def test_a_connection_closed_during_starttls_is_followed_by_one_without_tls(script):
    script = {"EHLO": STARTTLS, **script}
    error, peer = sent(script, tls=ClientTls("opportunistic"))
    assert error == ("", "")
    assert peer.verbs[-4:] == ["MAIL", "RCPT", "DATA", "QUIT"]
    (found, _), peer = sent(script, tls=ClientTls("required"))
    assert found in (TLS_FAILED, NO_TLS)
    assert "MAIL" not in peer.verbs


def test_a_connection_closed_after_the_handshake_is_followed_by_one_without_tls(shown):
    script = {"EHLO": [STARTTLS, DROP, STARTTLS], "STARTTLS": b"220 go\r\n"}
    error, peer = sent(script, tls=ClientTls("opportunistic"), server_tls=shown)
    assert error == ("", "")
    assert peer.secured == 1
    assert peer.connections == 2


def test_a_silent_handshake_is_followed_by_a_connection_without_tls():
    script = {"EHLO": STARTTLS, "STARTTLS": (b"220 go\r\n", HANG)}
    error, peer = sent(script, tls=ClientTls("opportunistic"), command_timeout=1.0)
    assert error == ("", "")
    assert peer.connections == 2


def test_plaintext_after_starttls_ends_the_connection():
    script = {"EHLO": STARTTLS, "STARTTLS": b"220 go\r\n250 injected\r\n"}
    (found, detail), _ = sent(script, tls=ClientTls("required"))
    assert (found[:9], detail) == (
        "451 4.5.0",
        "cleartext behind the reply to STARTTLS",
    )


def test_smtps_with_a_next_hop_without_tls():
    (found, detail), peer = sent(scheme="smtps", tls=ClientTls("opportunistic"))
    assert (found, detail) == (TLS_FAILED, "WRONG_VERSION_NUMBER")
    assert peer.connections == 1


# Authentication

LOGIN = {"user": "gate", "password_file": "p", "tls": "none"}
AUTH = {"AUTH": b"235 2.7.0 welcome\r\n"}
NOT_IN = "451 4.7.0 Authentication to next hop failed, please try again later"


def logged_in(script, *, remote=False, **options):
    async def play():
        async with Peer(script) as peer:
            made = ClientSettings(
                ClientConfig(**{**QUICK, **LOGIN, **options}),
                "gate.example",
                ClientTls("none"),
                "s3cret",
            )
            hop = msgspec.structs.replace(peer.hop, host="127.1") if remote else peer.hop
            relay = Relay(hop, made)
            try:
                await relay.deliver(delivery(RCPT, of=message(CONTENT)))
            except DeliveryError as error:
                return str(error.reply), error.detail, peer
            finally:
                await relay.stop()
            return "", "", peer

    return run(play())


def test_auth_plain():
    error, _, peer = logged_in({"EHLO": with_keyword(b"AUTH LOGIN plain"), **AUTH})
    assert error == ""
    assert peer.lines[1] == "AUTH PLAIN AGdhdGUAczNjcmV0"


def test_auth_login():
    script = {"AUTH": b"334 VXNlcm5hbWU6\r\n", "Z2F0ZQ==": b"334 UGFzc3dvcmQ6\r\n"}
    script |= {"EHLO": with_keyword(b"AUTH LOGIN"), "czNjcmV0": b"235 2.7.0 welcome\r\n"}
    error, _, peer = logged_in(script)
    assert error == ""
    assert peer.lines[1:4] == ["AUTH LOGIN", "Z2F0ZQ==", "czNjcmV0"]


NOT_LET_IN = {
    "not offered": {},
    "another": {"EHLO": with_keyword(b"AUTH GSSAPI")},
    "refused": {"EHLO": with_keyword(b"AUTH PLAIN"), "AUTH": b"535 5.7.8 no\r\n"},
    "asks for more": {"EHLO": with_keyword(b"AUTH PLAIN"), "AUTH": b"334 \r\n"},
    "no user": {"EHLO": with_keyword(b"AUTH LOGIN"), "AUTH": b"504 5.5.4 what?\r\n"},
}


@pytest.mark.parametrize("script", NOT_LET_IN.values(), ids=NOT_LET_IN)
def test_failed_authentication(script):
    error, detail, peer = logged_in(script)
    assert error == NOT_IN
    assert "s3cret" not in detail
    assert "MAIL" not in peer.verbs


def test_no_authentication_without_tls():
    script = {"EHLO": with_keyword(b"AUTH PLAIN"), **AUTH}
    error, detail, peer = logged_in(script, remote=True)
    assert (error, detail.partition(": ")[2]) == (NOT_IN, "AUTH requires TLS")
    assert "AUTH" not in peer.verbs
    assert logged_in(script, remote=True, auth_in_clear=True)[0] == ""


# Client identity


@pytest.mark.parametrize(
    ("offered", "line"),
    [
        (
            b"XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
            (
                "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=40000 PROTO=SMTP"
                " HELO=[UNAVAILABLE] DESTADDR=192.0.2.9 DESTPORT=25"
            ),
        ),
        (b"XCLIENT addr", "XCLIENT ADDR=192.0.2.1"),
    ],
)
def test_xclient_has_the_offered_attributes(offered, line):
    script = {"EHLO": with_keyword(offered), "XCLIENT": b"220 peer\r\n"}
    error, peer = sent(script, forward="xclient")
    assert error == ("", "")
    assert peer.lines[1] == line
    assert peer.verbs[2:4] == ["EHLO", "MAIL"]


@pytest.mark.parametrize(
    ("helo", "sent_name", "greeted"),
    [
        ("client.example", "client.example", "client.example"),
        ("a=b", "a+3Db", "a=b"),
        ("ü.example", "[UNAVAILABLE]", "gate.example"),
        ("x" * 256, "[UNAVAILABLE]", "gate.example"),
    ],
)
def test_ehlo_after_xclient_has_the_clients_name(helo, sent_name, greeted):
    script = {"EHLO": with_keyword(b"XCLIENT HELO"), "XCLIENT": b"220 peer\r\n"}

    async def play():
        async with Peer(script) as peer:
            relay = Relay(peer.hop, settings(forward="xclient"))
            of = delivery(RCPT, of=message(CONTENT))
            set_fact(of.transaction.session, "helo", helo)
            await relay.deliver(of)
            await relay.stop()
            return peer.lines[1:3]

    assert run(play()) == [f"XCLIENT HELO={sent_name}", f"EHLO {greeted}"]


def test_xclient_for_a_client_without_an_address():
    local = Endpoint("")
    command = xclient(ForwardedClient(local, local, "", extended=True), "ADDR PORT PROTO DESTPORT")
    assert command.attributes == {
        "ADDR": "[UNAVAILABLE]",
        "PORT": "[UNAVAILABLE]",
        "PROTO": "ESMTP",
        "DESTPORT": "[UNAVAILABLE]",
    }
    six = ForwardedClient(Endpoint("::1", 1), local, "", extended=False)
    assert xclient(six, "ADDR").attributes == {"ADDR": "IPV6:::1"}


@pytest.mark.parametrize("keyword", [b"XCLIENT", b"X-NONE"])
def test_no_xclient_if_it_is_not_offered(keyword):
    error, peer = sent({"EHLO": with_keyword(keyword)}, forward="xclient")
    assert error == ("", "")
    assert "XCLIENT" not in peer.verbs


def test_a_refused_xclient_is_an_error():
    script = {"EHLO": with_keyword(b"XCLIENT ADDR"), "XCLIENT": b"550 5.7.1 no\r\n"}
    assert sent(script, forward="xclient")[0][0][:9] == "451 4.4.1"


def test_a_proxy_header_comes_first():
    _, peer = sent(forward="proxy-v1")
    assert peer.lines[0] == "PROXY TCP4 192.0.2.1 192.0.2.9 40000 25"


def test_a_connection_with_an_identity_is_for_one_client():
    async def play():
        async with Peer() as peer:
            relay = Relay(peer.hop, settings(forward="proxy-v1", connections=1))
            for port in (1, 1, 2, 1):
                of = delivery(RCPT, of=message(CONTENT))
                session = of.transaction.session
                set_fact(session, "peer", msgspec.structs.replace(session.peer, port=port))
                await relay.deliver(of)
            await relay.stop()
            return peer

    assert run(play()).connections == 3
