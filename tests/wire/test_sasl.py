"""SASL mechanisms: valid responses are accepted, all others refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.auth.samples import ITERATIONS, SALT, ScramClient, b64, plain

from gatepost.log.render import RENDERERS
from gatepost.log.setup import LineWriter
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.wire.sasl.mechanism import Challenge, SaslError
from gatepost.wire.sasl.plain import Login, Plain
from gatepost.wire.sasl.prepare import prepare_name, prepare_password
from gatepost.wire.sasl.scram import MAX_NONCE, ScramSha256, fake_verifier
from gatepost.wire.sasl.verifier import Verifier, decode_base64

# RFC 7677 section 3
RFC_SALT = decode_base64("W22ZaJ0SNY7soEsUEjb6gQ==")
RFC_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
RFC_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
RFC_CHALLENGE = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
RFC_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
RFC_VERDICT = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

JUNK = [
    *(b"", b"a b", b"a\tb", b"a\x7f", b"\x01", b"a\r\nb", b"\xff", b"x" * 256),
    *(one.encode() for one in ("a\xa0b", "a\u200bb", "a\u202eb", "a\ufeff", "\ue000", "\ufb01")),
    *(one.encode() for one in ("\u2028", "\U000e0001", "x\u05d0", "\uff21", "\u2460", "a\xad")),
]


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"alice", "alice"),
        (b"Alice@Example.COM", "alice@example.com"),
        (b"a,b=c#d", "a,b=c#d"),
        ("J\u00dcRGEN".encode(), "j\u00fcrgen"),
        ("ju\u0308rgen".encode(), "j\u00fcrgen"),
        ("\u05d0\u05d1".encode(), "\u05d0\u05d1"),
        (b"x" * 255, "x" * 255),
    ],
)
def test_valid_names_are_normalised(octets, name):
    assert prepare_name(octets) == name


@pytest.mark.parametrize("octets", JUNK)
def test_invalid_names_are_refused(octets):
    with pytest.raises(SaslError):
        prepare_name(octets)
    for mechanism, response in [
        (Plain(), b"\0" + octets + b"\0secret"),
        (Login(), octets),
        (ScramSha256("x", lambda _: pytest.fail("looked up")), b"n,,n=" + octets + b",r=x"),
    ]:
        with pytest.raises(SaslError) as caught:
            mechanism.step(response)
        assert "secret" not in str(caught.value)


@given(st.binary(max_size=40))
def test_a_name_is_one_printable_word_and_stable(octets):
    try:
        name = prepare_name(octets)
    except SaslError:
        return
    assert name.isprintable()
    assert len(name.split()) == 1
    assert prepare_name(name.encode()) == name


@pytest.mark.parametrize(
    ("octets", "password"),
    [
        (b" two words ", " two words "),
        ("p\u00e4ss".encode(), "p\u00e4ss"),
        ("pa\u0308ss".encode(), "p\u00e4ss"),
        ("a\xa0b\xadc".encode(), "a bc"),
        ("\u2168".encode(), "IX"),
        (b"x" * 1024, "x" * 1024),
    ],
)
def test_valid_passwords_are_normalised(octets, password):
    assert prepare_password(octets) == password


@pytest.mark.parametrize(
    "octets", [b"", b"\0", b"a\nb", b"\x7f", b"\xff", b"x" * 1025, "\u0627\u0031".encode()]
)
def test_invalid_passwords_are_refused(octets):
    with pytest.raises(SaslError):
        prepare_password(octets)


def test_plain_gives_an_attempt():
    mechanism = Plain()
    assert mechanism.step(None) == Challenge(b"")
    attempt = mechanism.step(plain("Alice", "secret", "Bob"))
    assert (attempt.mechanism, attempt.user, attempt.password) == ("PLAIN", "alice", "secret")
    assert (attempt.authzid, attempt.proven) == ("bob", False)


@pytest.mark.parametrize("response", [b"", b"alice", b"\0alice", b"\0alice\0secret\0", b"\0a\0"])
def test_a_malformed_plain_response_is_refused(response):
    with pytest.raises(SaslError):
        Plain().step(response)


@pytest.mark.parametrize("initial", [False, True])
def test_login_gives_an_attempt(initial):
    mechanism = Login()
    if not initial:
        assert mechanism.step(None) == Challenge(b"Username:")
    assert mechanism.step(b"Alice") == Challenge(b"Password:")
    attempt = mechanism.step(b"secret")
    assert (attempt.mechanism, attempt.user, attempt.password) == ("LOGIN", "alice", "secret")


def test_an_attempt_does_not_show_its_password():
    attempt = AuthAttempt("PLAIN", "alice", "secret")
    assert "secret" not in f"{attempt} {attempt!r}"
    for render in RENDERERS.values():
        assert b"secret" not in render(LineWriter("x"), "info", {"event": "x", "attempt": attempt})


def scram(verifier=None, nonce=RFC_NONCE):
    made = verifier or Verifier.make("pencil", RFC_SALT, 4096)
    return ScramSha256(nonce, lambda _: made)


def test_a_verifier_does_not_show_its_keys():
    assert repr(Verifier.make("secret", SALT, ITERATIONS)) == "Verifier(...)"


def test_scram_matches_the_example_of_rfc_7677():
    mechanism = scram()
    assert mechanism.step(None) == Challenge(b"")
    assert mechanism.step(RFC_FIRST) == Challenge(RFC_CHALLENGE)
    assert mechanism.step(RFC_FINAL) == Challenge(RFC_VERDICT)
    attempt = mechanism.step(b"")
    assert (attempt.mechanism, attempt.user, attempt.proven) == ("SCRAM-SHA-256", "user", True)
    assert attempt.password is None


@pytest.mark.parametrize("header", ["n,,", "y,,", "n,a=bob,", "y,a=a=2Cb=3Dc,"])
@pytest.mark.parametrize("name", ["alice", "a=2Cb=3Dc"])
def test_scram_headers_and_names_are_read(header, name):
    client = ScramClient(name, header=header)
    names = []
    made = Verifier.make("secret", SALT, ITERATIONS)
    mechanism = ScramSha256("server", lambda one: names.append(one) or made)
    final = client.final(mechanism.step(client.first).data)
    assert mechanism.step(final).data == client.verdict
    attempt = mechanism.step(b"")
    assert attempt.proven
    assert names == [attempt.user] == [name.replace("=2C", ",").replace("=3D", "=")]
    authzid = header[4:-1].replace("=2C", ",").replace("=3D", "=")
    assert attempt.authzid == authzid


def test_a_wrong_password_proves_nothing():
    client, mechanism = ScramClient(password="guess"), scram()
    attempt = mechanism.step(client.final(mechanism.step(client.first).data))
    assert (attempt.user, attempt.proven) == ("alice", False)


@pytest.mark.parametrize("proof", ["", "AAAA", b64(b"\0" * 32), b64(b"\0" * 64)])
def test_invalid_proofs_are_refused(proof):
    mechanism = scram()
    mechanism.step(RFC_FIRST)
    response = RFC_FINAL.partition(b",p=")[0] + b",p=" + proof.encode()
    if proof:
        assert not mechanism.step(response).proven
    else:
        with pytest.raises(SaslError):
            mechanism.step(response)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\xff",
        b"n=user,r=abc",
        b"p=tls-exporter,,n=user,r=abc",
        b"n,,m=x,n=user,r=abc",
        b"n,,n=user",
        b"n,,n=user,r=",
        b"n,,n=us=er,r=abc",
        b"n,,n=us=2cer,r=abc",
        b"n,,n=,r=abc",
        b"n,user,n=user,r=abc",
        b"n,,n=user,r=a\x7f",
        b"n,,n=user,r=" + b"x" * (MAX_NONCE + 1),
    ],
)
def test_a_malformed_first_message_is_refused(first):
    with pytest.raises(SaslError):
        scram().step(first)


@pytest.mark.parametrize(
    ("found", "replaced"),
    [
        (b"k0", b"k1"),
        (b"r=rOpr", b"r=rOpR"),
        (b"c=biws", b"c=eSws"),
        (b"c=biws", b"c=biw"),
        (b"c=biws,", b""),
        (b"=", b"\xff"),
        (b"p=dHz", b"p=!Hz"),
        (b"p=dHz", b"p=Hz"),
    ],
)
def test_a_malformed_final_message_is_refused(found, replaced):
    mechanism = scram()
    mechanism.step(RFC_FIRST)
    with pytest.raises(SaslError):
        mechanism.step(RFC_FINAL.replace(found, replaced, 1))


def test_the_last_response_must_be_empty():
    mechanism = scram()
    mechanism.step(RFC_FIRST)
    mechanism.step(RFC_FINAL)
    with pytest.raises(SaslError):
        mechanism.step(b"x")


def test_scram_extensions_are_ignored():
    mechanism = scram()
    assert mechanism.step(RFC_FIRST + b",x=y").data == RFC_CHALLENGE


def test_the_verifier_of_an_unknown_user_is_stable():
    one, again = (fake_verifier("unknown", b"key", 4096) for _ in range(2))
    other, elsewhere = fake_verifier("noone", b"key", 4096), fake_verifier("unknown", b"KEY", 4096)
    assert one == again
    assert len({one.salt, other.salt, elsewhere.salt}) == 3
    real = Verifier.make("x", RFC_SALT, 4096)
    assert [len(part) for part in (one.salt, one.stored_key, one.server_key)] == [
        len(part) for part in (real.salt, real.stored_key, real.server_key)
    ]


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_random_responses_prove_nothing(first, final):
    for mechanism in (Plain(), Login(), scram()):
        try:
            outcome = mechanism.step(first)
            outcome = mechanism.step(final) if isinstance(outcome, Challenge) else outcome
        except SaslError:
            continue
        assert isinstance(outcome, Challenge) or not outcome.proven


def test_a_verifier_has_its_text_form():
    made = Verifier.make("pencil", RFC_SALT, 4096)
    assert str(made) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert Verifier.parse(str(made)) == made


@pytest.mark.parametrize(
    ("found", "replaced"),
    [
        ("256$", "1$"),
        ("4096", "0"),
        ("4096", "99999999"),
        ("gQ==", "gQ="),
        ("W22ZaJ0SNY7soEsUEjb6gQ==", b64(b"x" * 65)),
        ("4qY=", "4qYx"),
        ("$WG", "WG"),
        ("2dU=", "2dU= "),
    ],
)
def test_a_malformed_verifier_is_refused(found, replaced):
    written = str(Verifier.make("pencil", RFC_SALT, 4096))
    assert found in written
    with pytest.raises(ValueError, match="expected"):
        Verifier.parse(written.replace(found, replaced))
